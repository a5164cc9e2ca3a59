//! What joining nodes bring along: bootstrap tokens, `abcdef.0123456789abcdef` (`k8s.io/cluster-bootstrap/token/util`), and
//! the key of the uploaded certificates.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

const ID: usize = 6;
const SECRET: usize = 16;
/// Length of a certificate key: AES-256.
const KEY: usize = 32;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A bootstrap token: a public id and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: Zeroizing<String>,
}

/// A text is no bootstrap token. The text may be one all but for a letter, so it is not quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bootstrap token is six and sixteen of a-z and 0-9 with a dot between, like abcdef.0123456789abcdef")]
pub struct TokenError;

/// Whether a text is the id of a token.
pub fn is_id(text: &str) -> bool {
    is_word(text, ID)
}

fn is_word(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

impl Token {
    /// A token of two halves.
    pub fn new(id: &str, secret: &str) -> Result<Self, TokenError> {
        if !is_word(id, ID) || !is_word(secret, SECRET) {
            return Err(TokenError);
        }
        Ok(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// A new token from a source of random bytes.
    pub fn generate<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut text = Zeroizing::new(String::with_capacity(ID + SECRET));
        while text.len() < ID + SECRET {
            let mut byte = [0];
            random(&mut byte)?;
            // The last bytes of the range would make the first letters likelier.
            let fair = byte[0] < 252;
            if let Some(letter) = ALPHABET.get(usize::from(byte[0] % 36)).filter(|_| fair) {
                text.push(char::from(*letter));
            }
        }
        let (id, secret) = text.split_at(ID);
        Ok(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// The public half.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret half.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole token, for those who ask for it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, self.secret.as_str()))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (id, secret) = text.split_once('.').ok_or(TokenError)?;
        Self::new(id, secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.…)", self.id)
    }
}

/// The key of the uploaded certificates; it never reaches the cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateKey(Zeroizing<[u8; KEY]>);

impl CertificateKey {
    /// A new key from a source of random bytes.
    pub fn generate<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; KEY]);
        random(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// The bytes, for the cipher.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// In hexadecimal digits, for the join command.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut digits = Zeroizing::new(String::with_capacity(2 * KEY));
        for byte in self.0.iter() {
            digits.push_str(&format!("{byte:02x}"));
        }
        digits
    }
}

impl FromStr for CertificateKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut key = Zeroizing::new([0; KEY]);
        let digits = text.len() == 2 * KEY && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            return Err(format!("a certificate key is {KEY} bytes in {} hexadecimal digits", 2 * KEY));
        }
        for (index, byte) in key.iter_mut().enumerate() {
            let pair = text.get(2 * index..2 * index + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(|error| error.to_string())?;
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_reads_and_shows_no_secret() {
        let token: Token = "abcdef.0123456789abcdef".parse().unwrap();
        assert_eq!((token.id(), token.secret()), ("abcdef", "0123456789abcdef"));
        assert_eq!(token.expose().as_str(), "abcdef.0123456789abcdef");
        assert!(!format!("{token:?}").contains("0123456789"));
        for wrong in ["", "abcdef", "abcde.0123456789abcdef", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcdef.a"] {
            assert_eq!(wrong.parse::<Token>(), Err(TokenError), "{wrong}");
        }
    }

    #[test]
    fn takes_every_letter_with_the_same_chance() {
        let mut next = 255_u8;
        let token = Token::generate(|bytes| {
            bytes[0] = next;
            next = next.wrapping_sub(1);
            Ok::<_, ()>(())
        });
        // 255 to 252 are passed over.
        assert_eq!(token.unwrap().expose().as_str(), "zyxwvu.tsrqponmlkjihgfe");
    }

    #[test]
    fn a_certificate_key_is_digits_and_shows_none() {
        let digits = "00ff10".repeat(10) + "a0b1";
        let key: CertificateKey = digits.parse().unwrap();
        assert_eq!(key.expose().as_str(), digits);
        assert!(!format!("{key:?}").contains("00ff"));
        for wrong in ["", "00ff", &"zz".repeat(32), &"é".repeat(32), &"00".repeat(33)] {
            assert!(wrong.parse::<CertificateKey>().is_err(), "{wrong}");
        }
    }
}
