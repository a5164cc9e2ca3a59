//! An etcd that runs elsewhere: does every member answer, in a version that the API server can use?

use tokio::task::JoinSet;

use super::checks::error;
use super::{Finding, Inputs};
use crate::config::{Config, ExternalEtcd};
use crate::host::fs::Files;
use crate::host::http::{self, Health, Trust};
use crate::secret::Secret;

/// Older members lack what the API server needs (kubeadm: `MinExternalEtcdVersion`).
const OLDEST: [u32; 3] = [3, 5, 24];

/// Where distributions keep the authorities of the host in one file.
const HOST_AUTHORITIES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Asks all members at the same time.
pub(super) async fn look(config: &Config, files: &Files) -> Vec<(String, Result<String, String>)> {
    let Some(etcd) = &config.cluster.external_etcd else { return vec![] };
    let members = if etcd.http_endpoints.is_empty() { &etcd.endpoints } else { &etcd.http_endpoints };
    let trust = trust(etcd, files);
    let mut answers = JoinSet::new();
    for (index, member) in members.iter().cloned().enumerate() {
        let trust = if member.tls { trust.clone() } else { Ok(Trust::Plain) };
        answers.spawn(async move {
            let answer = match trust {
                Ok(trust) => version(&member.endpoint.host, member.endpoint.port, &trust).await,
                Err(error) => Err(error),
            };
            (index, member.url, answer)
        });
    }
    let mut answers = answers.join_all().await;
    answers.sort_by_key(|(index, ..)| *index);
    answers.into_iter().map(|(_, url, answer)| (url, answer)).collect()
}

/// How the members are believed, and we by them.
fn trust(etcd: &ExternalEtcd, files: &Files) -> Result<Trust, String> {
    let read = |path: &String| match files.read(path) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("{path} is missing")),
        Err(error) => Err(error.to_string()),
    };
    // Without an authority of its own the API server believes those of the host; where we find none, we only see that
    // somebody answers.
    let of_the_host = || HOST_AUTHORITIES.iter().map(|path| (*path).to_owned()).find(|path| read(path).is_ok());
    let Some(authority) = etcd.ca_file.clone().or_else(of_the_host) else { return Ok(Trust::SelfSigned) };
    let authority = String::from_utf8_lossy(&read(&authority)?).into_owned();
    let (Some(certificate), Some(key)) = (&etcd.cert_file, &etcd.key_file) else {
        return Ok(Trust::Authority(authority));
    };
    Ok(Trust::Mutual { authority, certificate: read(certificate)?.to_vec(), key: Secret::new(read(key)?.to_vec()) })
}

async fn version(host: &str, port: u16, trust: &Trust) -> Result<String, String> {
    let body = http::fetch(host, port, "/version", trust).await.map_err(|health| match health {
        Health::Refused => "nobody listens there".to_owned(),
        Health::Silent => "it does not answer".into(),
        Health::Tls(error) => format!("TLS fails: {error}"),
        Health::NotReady(error) | Health::Broken(error) => error,
        Health::Ready => "it says nothing".into(),
    })?;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    answer["etcdserver"].as_str().map(str::to_owned).ok_or_else(|| "what answers is no etcd".to_owned())
}

/// The check: a member that is missing now is one that the API server would wait for.
pub(super) fn check(inputs: &Inputs<'_>) -> Vec<Finding> {
    let hint = "see that it runs, that this node may reach it, and that etcd.external names its certificates";
    let finding = |(url, answer): &(String, Result<String, String>)| match answer {
        Err(why) => error("ExternalEtcdVersion", format!("etcd at {url} cannot be used: {why}"), hint),
        Ok(version) if is_older(version) => {
            let [major, minor, patch] = OLDEST;
            let message = format!("etcd at {url} is of version {version}, older than {major}.{minor}.{patch}");
            error("ExternalEtcdVersion", message, "upgrade etcd first")
        }
        Ok(_) => vec![],
    };
    inputs.external_etcd.iter().flat_map(finding).collect()
}

fn is_older(version: &str) -> bool {
    let numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    numbers.take(3).lt(OLDEST)
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, older) in [
            ("3.5.24", false),
            ("3.5.9", true),
            ("3.10.0", false),
            ("3.5.24-rc.0", false),
            ("4.0.0", false),
            ("x", true),
        ] {
            assert_eq!(is_older(version), older, "{version}");
        }
    }
}
