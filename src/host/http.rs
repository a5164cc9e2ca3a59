//! One GET for a health probe, over TLS that is verified.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use crate::secret::Secret;

/// What a health port answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "detail")]
pub enum Health {
    /// 200.
    Ready,
    /// Another status, with the body's first lines.
    NotReady(String),
    /// Nobody listens.
    Refused,
    /// No answer in time.
    Silent,
    /// The TLS handshake failed; the error names the reason.
    Tls(String),
    /// Any other error.
    Broken(String),
}

/// How the server has to prove who it is.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Plain HTTP on loopback.
    Plain,
    /// The certificates of this PEM bundle.
    Authority(String),
    /// A certificate that the server made for itself in memory, on loopback (`--bind-address=127.0.0.1` without
    /// `--tls-cert-file`): there is nothing to verify it against, so only the handshake's signature is checked.
    SelfSigned,
    /// The certificates of a PEM bundle, towards whom we show a client certificate.
    Mutual {
        /// The bundle.
        authority: String,
        /// Client certificate, PEM.
        certificate: Vec<u8>,
        /// Its key, PEM.
        key: Secret,
    },
}

const TIMEOUT: Duration = Duration::from_secs(2);

/// `GET path`, answered within two seconds or [`Health::Silent`].
pub async fn health(host: &str, port: u16, path: &str, trust: &Trust) -> Health {
    fetch(host, port, path, trust).await.map_or_else(|health| health, |_| Health::Ready)
}

/// The same from a port below 1024, by which [`super::steer`] knows us; `nth` chooses the port.
pub async fn privileged_health(host: &str, port: u16, path: &str, trust: &Trust, nth: u16) -> Health {
    let answer = tokio::time::timeout(TIMEOUT, probe(connect_privileged(host, port, nth), host, path, trust));
    answer.await.unwrap_or(Err(Health::Silent)).map_or_else(|health| health, |_| Health::Ready)
}

/// The body of `GET path` when the status is 200, else what came instead; within two seconds or [`Health::Silent`].
pub async fn fetch(host: &str, port: u16, path: &str, trust: &Trust) -> Result<Bytes, Health> {
    let answer = tokio::time::timeout(TIMEOUT, probe(TcpStream::connect((host, port)), host, path, trust));
    answer.await.unwrap_or(Err(Health::Silent))
}

async fn connect_privileged(host: &str, port: u16, nth: u16) -> io::Result<TcpStream> {
    /// Lower ones belong to well-known services.
    const PORTS: std::ops::Range<u16> = 600..1024;
    let address = tokio::net::lookup_host((host, port)).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let own = PORTS.start + nth % (PORTS.end - PORTS.start);
    let (socket, any) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    socket.bind(SocketAddr::new(any, own))?;
    socket.connect(address).await
}

async fn probe(
    connection: impl Future<Output = io::Result<TcpStream>>,
    host: &str,
    path: &str,
    trust: &Trust,
) -> Result<Bytes, Health> {
    let stream = match connection.await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Health::Refused),
        Err(error) => return Err(Health::Broken(error.to_string())),
    };
    let tls = match trust {
        Trust::Plain => return get(stream, host, path).await,
        Trust::Authority(pem) => authority(pem),
        Trust::SelfSigned => self_signed(),
        Trust::Mutual { authority, certificate, key } => mutual(authority, certificate, key.expose()),
    };
    let (tls, name) = match (tls, ServerName::try_from(host.to_owned())) {
        (Ok(tls), Ok(name)) => (tls, name),
        (Err(error), _) => return Err(Health::Tls(error)),
        (_, Err(error)) => return Err(Health::Tls(error.to_string())),
    };
    match tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await {
        Ok(stream) => get(stream, host, path).await,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(Health::Tls(error.to_string())),
        Err(error) => Err(Health::Broken(error.to_string())),
    }
}

/// The certificate that a server shows, in DER. Any is taken, but the server has to hold its key.
pub async fn shown(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let handshake = async {
        let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self_signed()?));
        // In TLS 1.3 a server that wants a client certificate says so only after it has shown its own.
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        chain.first().map(|leaf| leaf.as_ref().to_vec()).ok_or_else(|| "it shows no certificate".to_owned())
    };
    tokio::time::timeout(TIMEOUT, handshake).await.unwrap_or_else(|_| Err("it does not answer".into()))
}

async fn get<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    host: &str,
    path: &str,
) -> Result<Bytes, Health> {
    let attempt = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = http::Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = path.parse().unwrap_or_default();
        if let Ok(host) = http::HeaderValue::from_str(&host) {
            request.headers_mut().insert(http::header::HOST, host);
        }
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, body))
    };
    match attempt.await {
        Ok((http::StatusCode::OK, body)) => Ok(body),
        Ok((status, body)) => Err(Health::NotReady(format!("{} {}", status.as_u16(), reason(&body)))),
        Err(error) => Err(Health::Broken(error.to_string())),
    }
}

/// Why a health port says no: the message of a `Status` object, or the checks that fail.
fn reason(body: &[u8]) -> String {
    if let Ok(status) = serde_json::from_slice::<serde_json::Value>(body)
        && let Some(message) = status["message"].as_str()
    {
        return message.to_owned();
    }
    let body = String::from_utf8_lossy(body);
    let failing = body.lines().filter_map(|line| line.strip_prefix("[-]")).take(4);
    // The reason is withheld from everybody, so it says nothing.
    let failing: Vec<_> = failing.map(|line| line.trim_end_matches(": reason withheld").trim_end()).collect();
    failing.join("; ")
}

fn builder() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, String> {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS with a client certificate, towards a server of the authority in PEM.
pub(super) fn mutual(authority: &str, certificate: &[u8], key: &[u8]) -> Result<rustls::ClientConfig, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| format!("the client certificate is unreadable: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the client key is unreadable: {error}"))?;
    builder()?
        .with_root_certificates(roots(authority)?)
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("the client certificate is unusable: {error}"))
}

fn authority(pem: &str) -> Result<rustls::ClientConfig, String> {
    Ok(builder()?.with_root_certificates(roots(pem)?).with_no_client_auth())
}

fn roots(pem: &str) -> Result<rustls::RootCertStore, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the certificate authority is unreadable: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the certificate authority is unusable: {error}"))?;
    }
    Ok(roots)
}

pub(super) fn self_signed() -> Result<rustls::ClientConfig, String> {
    let verifier = Arc::new(AnySubject(provider()));
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Accepts any subject but still checks that the server holds the key of the certificate it shows.
#[derive(Debug)]
struct AnySubject(Arc<CryptoProvider>);

impl ServerCertVerifier for AnySubject {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
