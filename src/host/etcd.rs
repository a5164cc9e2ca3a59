//! etcd over its own API (`etcdserverpb.Maintenance`, `rpc.proto`), with a client certificate.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// etcd did not answer, or refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} at {address}: {message}")]
pub struct EtcdError {
    /// The call.
    pub call: &'static str,
    /// Address and port.
    pub address: String,
    /// etcd's word.
    pub message: String,
}

/// What a client of etcd needs to be believed.
pub struct Credentials<'a> {
    /// The authority of etcd, PEM.
    pub authority: &'a str,
    /// Client certificate, PEM.
    pub certificate: &'a [u8],
    /// Its key, PEM.
    pub key: &'a [u8],
}

/// A connection to one member.
#[derive(Debug, Clone)]
pub struct Etcd {
    channel: Channel,
    address: String,
}

/// State of a member.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// Version of the server.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Bytes that the database takes on disk.
    #[prost(int64, tag = "3")]
    pub db_size: i64,
    /// Alarms and what else is wrong, in etcd's words.
    #[prost(string, repeated, tag = "8")]
    pub errors: Vec<String>,
    /// Version of etcd that can read the data, `3.6.0`; empty before etcd 3.6.
    #[prost(string, tag = "11")]
    pub storage_version: String,
    /// The downgrade that was allowed.
    #[prost(message, optional, tag = "13")]
    pub downgrade: Option<DowngradeInfo>,
}

/// Whether the cluster may go back to an older minor.
#[derive(Clone, PartialEq, Message)]
pub struct DowngradeInfo {
    /// It may.
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    /// To which version, `3.6.0`.
    #[prost(string, tag = "2")]
    pub target: String,
}

/// `DowngradeRequest`.
#[derive(Clone, PartialEq, Message)]
struct Downgrade {
    /// 1 is `ENABLE`.
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// `MemberListResponse`; of a member only that there is one.
#[derive(Clone, PartialEq, Message)]
struct Members {
    #[prost(message, repeated, tag = "2")]
    members: Vec<Nothing>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(bytes = "vec", tag = "3")]
    blob: Vec<u8>,
}

const CALL: Duration = Duration::from_secs(10);

impl Etcd {
    /// Connects to a member.
    pub async fn connect(host: &str, port: u16, credentials: &Credentials<'_>) -> Result<Self, EtcdError> {
        let address = format!("{host}:{port}");
        let fail = |message: String| EtcdError { call: "connect", address: address.clone(), message };
        let mut tls =
            super::http::mutual(credentials.authority, credentials.certificate, credentials.key).map_err(&fail)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        let name = ServerName::try_from(host.to_owned()).map_err(|error| fail(error.to_string()))?;
        let target = (host.to_owned(), port);
        let connector = service_fn(move |_: Uri| {
            let (tls, name, target) = (tls.clone(), name.clone(), target.clone());
            async move {
                let stream = tokio::net::TcpStream::connect(target).await?;
                tls.connect(name, stream).await.map(TokioIo::new)
            }
        });
        // The address is never resolved: the connector goes where it was told to.
        let endpoint = Endpoint::try_from("http://etcd.invalid").map_err(|error| fail(error.to_string()))?;
        let channel = endpoint.connect_timeout(CALL).connect_with_connector(connector).await;
        let channel = channel.map_err(|error| {
            let mut source: &dyn std::error::Error = &error;
            while let Some(next) = source.source() {
                source = next;
            }
            fail(source.to_string())
        })?;
        Ok(Self { channel, address })
    }

    fn client(&self) -> tonic::client::Grpc<Channel> {
        tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    fn fail(&self, call: &'static str) -> impl Fn(String) -> EtcdError {
        let address = self.address.clone();
        move |message| EtcdError { call, address: address.clone(), message }
    }

    /// Version and size.
    pub async fn status(&self) -> Result<Status, EtcdError> {
        self.ask("Status", "/etcdserverpb.Maintenance/Status", Nothing {}).await
    }

    /// How many members the cluster has.
    pub async fn members(&self) -> Result<usize, EtcdError> {
        let answer: Members = self.ask("MemberList", "/etcdserverpb.Cluster/MemberList", Nothing {}).await?;
        Ok(answer.members.len())
    }

    /// One question and its answer.
    async fn ask<Q, A>(&self, call: &'static str, path: &'static str, question: Q) -> Result<A, EtcdError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let fail = self.fail(call);
        let mut client = self.client();
        client.ready().await.map_err(|error| fail(error.to_string()))?;
        let mut request = tonic::Request::new(question);
        request.set_timeout(CALL);
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let answer = client.unary(request, PathAndQuery::from_static(path), codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| fail(status.message().to_owned()))
    }

    /// Lets the cluster go back to an older minor, `3.6`: from then on it writes only what that one can read. Returns at
    /// once; [`Status::storage_version`] tells when the data is there.
    pub async fn enable_downgrade(&self, version: &str) -> Result<(), EtcdError> {
        let question = Downgrade { action: 1, version: version.to_owned() };
        self.ask::<_, Nothing>("Downgrade", "/etcdserverpb.Maintenance/Downgrade", question).await.map(drop)
    }

    /// Streams the database; its last 32 bytes are the SHA-256 of all before them.
    pub async fn snapshot<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), SnapshotError<E>> {
        let fail = self.fail("Snapshot");
        let fail = |message: String| SnapshotError::Etcd(fail(message));
        let mut client = self.client();
        client.ready().await.map_err(|error| fail(error.to_string()))?;
        let path = PathAndQuery::from_static("/etcdserverpb.Maintenance/Snapshot");
        let codec = tonic_prost::ProstCodec::<Nothing, Piece>::default();
        let answer = client.server_streaming(tonic::Request::new(Nothing {}), path, codec).await;
        let mut pieces = answer.map_err(|status| fail(status.message().to_owned()))?.into_inner();
        while let Some(piece) = pieces.message().await.map_err(|status| fail(status.message().to_owned()))? {
            take(&piece.blob).map_err(SnapshotError::Taker)?;
        }
        Ok(())
    }
}

/// Why a snapshot ended early.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError<E> {
    /// etcd's reason.
    #[error(transparent)]
    Etcd(EtcdError),
    /// The reason of who took the pieces.
    #[error(transparent)]
    Taker(E),
}
