//! Taking secrets out of text that leaves the machine. Pure.

/// Knows the secrets of a node, and what secrets look like.
#[derive(Default)]
pub struct Redactor {
    known: Vec<zeroize::Zeroizing<String>>,
}

const MARK: &str = "[redacted]";
/// Anything shorter says nothing, and would be found everywhere.
const SHORTEST: usize = 12;

impl Redactor {
    /// Learns a secret: each of its lines, and the whole of it in base64, are taken out wherever they stand.
    pub fn learn(&mut self, secret: &[u8]) {
        use base64::Engine as _;
        let encoded = base64::prelude::BASE64_STANDARD.encode(secret);
        let text = String::from_utf8_lossy(secret);
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        for word in lines.chain([encoded.as_str()]).filter(|word| word.len() >= SHORTEST) {
            self.known.push(zeroize::Zeroizing::new(word.to_owned()));
        }
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.known {
            text = text.replace(secret.as_str(), MARK);
        }
        let mut inside = false;
        let lines = text.lines().filter_map(|line| {
            let (begins, ends) =
                (line.contains("-----BEGIN") && line.contains("PRIVATE KEY"), line.contains("-----END"));
            let hides = inside || begins;
            inside = (inside || begins) && !ends;
            match (hides, begins) {
                (true, true) => Some(MARK.to_owned()),
                (true, false) => None,
                (false, _) => Some(line.split_inclusive(is_border).map(word).collect()),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn is_border(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '/' | ':'))
}

/// A word with its border behind it.
fn word(word: &str) -> String {
    let border = word.chars().last().filter(|c| is_border(*c)).map_or(0, char::len_utf8);
    let (body, border) = word.split_at(word.len() - border);
    // `key:value` without a space.
    let bare = body.rsplit(':').next().unwrap_or(body);
    if is_token(bare) || is_jwt(bare) || is_certificate_key(body) {
        return format!("{}{MARK}{border}", &body[..body.len() - bare.len()]);
    }
    word.to_owned()
}

/// A bootstrap token, `abcdef.0123456789abcdef`.
fn is_token(text: &str) -> bool {
    let text = text.trim_end_matches('.');
    text.split_once('.').is_some_and(|(id, secret)| {
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)
    })
}

/// A signed token of a service account.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2
}

/// 32 bytes in hexadecimal which nobody calls a digest. Ids of containers look the same; a log without them is still one.
fn is_certificate_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let mut redactor = Redactor::default();
        redactor.learn(b"-----BEGIN X-----\nMIIsecretsecret\n-----END X-----\n");
        let hex = "0123456789abcdef".repeat(4);
        for (text, clean) in [
            ("line with MIIsecretsecret in it", "line with [redacted] in it"),
            ("--token abcdef.0123456789abcdef --x", "--token [redacted] --x"),
            ("token=abcdef.0123456789abcdef,", "token=[redacted],"),
            ("Bearer eyJhbGci.eyJpc3Mi.c2ln-_x", "Bearer [redacted]"),
            ("a\n-----BEGIN EC PRIVATE KEY-----\nxyz\n-----END EC PRIVATE KEY-----\nb", "a\n[redacted]\nb"),
            ("10.96.0.1:443 v1.37.2 kube-apiserver.yaml", "10.96.0.1:443 v1.37.2 kube-apiserver.yaml"),
        ] {
            assert_eq!(redactor.redact(text), clean);
        }
        assert_eq!(redactor.redact(&format!("sha256:{hex} {hex}")), format!("sha256:{hex} [redacted]"));
    }
}
