//! The container runtime over its unix socket (CRI, `runtime.v1`), in the few calls that a proof needs.

mod messages;

use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use self::messages as proto;
use crate::observed::{ContainerRun, ContainerState, PodRun, Sandbox};

/// The runtime did not answer, or refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} at {socket}: {message}")]
pub struct CriError {
    /// The call.
    pub call: &'static str,
    /// The socket.
    pub socket: String,
    /// The runtime's word.
    pub message: String,
}

/// A connection to the container runtime.
#[derive(Debug, Clone)]
pub struct Cri {
    channel: Channel,
    socket: String,
}

/// Name and version of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `containerd`, `cri-o`, …
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Time limit of one call; a local socket answers in milliseconds, a pull has its own limit.
const CALL: Duration = Duration::from_secs(10);
const PULL: Duration = Duration::from_secs(15 * 60);

impl Cri {
    /// Connects to a socket, `unix:///run/containerd/containerd.sock`.
    pub async fn connect(socket: &str) -> Result<Self, CriError> {
        let fail = |message: String| CriError { call: "connect", socket: socket.into(), message };
        let path = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        // The address is never resolved: the connector below goes to the socket.
        let endpoint = Endpoint::try_from("http://runtime.invalid").map_err(|error| fail(error.to_string()))?;
        let connector = service_fn(move |_: Uri| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let channel =
            endpoint.connect_timeout(Duration::from_secs(2)).connect_with_connector(connector).await.map_err(
                |error| {
                    let mut source: &dyn std::error::Error = &error;
                    while let Some(next) = source.source() {
                        source = next;
                    }
                    fail(source.to_string())
                },
            )?;
        Ok(Self { channel, socket: socket.into() })
    }

    async fn call<Q, R>(
        &self,
        service: &'static str,
        call: &'static str,
        limit: Duration,
        request: Q,
    ) -> Result<R, CriError>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let fail = |message: String| CriError { call, socket: self.socket.clone(), message };
        let mut client = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(32 << 20);
        client.ready().await.map_err(|error| fail(error.to_string()))?;
        let path =
            PathAndQuery::try_from(format!("/runtime.v1.{service}/{call}")).map_err(|error| fail(error.to_string()))?;
        let mut request = tonic::Request::new(request);
        request.set_timeout(limit);
        let answer =
            tokio::time::timeout(limit, client.unary(request, path, tonic_prost::ProstCodec::<Q, R>::default()))
                .await
                .map_err(|_| fail(format!("no answer within {} s", limit.as_secs())))?;
        answer.map(tonic::Response::into_inner).map_err(|status| fail(status.message().to_owned()))
    }

    /// Name and version.
    pub async fn version(&self) -> Result<Runtime, CriError> {
        let answer: proto::VersionResponse =
            self.call("RuntimeService", "Version", CALL, proto::VersionRequest { version: String::new() }).await?;
        Ok(Runtime { name: answer.runtime_name, version: answer.runtime_version })
    }

    /// Why the runtime is not ready, `None` when it is. The network's readiness does not matter to static pods.
    pub async fn not_ready(&self) -> Result<Option<String>, CriError> {
        let answer: proto::StatusResponse =
            self.call("RuntimeService", "Status", CALL, proto::StatusRequest { verbose: false }).await?;
        let conditions = answer.status.map(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.r#type == "RuntimeReady");
        Ok(match ready {
            Some(condition) if condition.status => None,
            Some(condition) => Some(format!("{} {}", condition.reason, condition.message)),
            None => Some("it does not report RuntimeReady".into()),
        })
    }

    /// The runtime's cgroup driver, `systemd` or `cgroupfs`; `None` when it does not tell.
    pub async fn cgroup_driver(&self) -> Option<&'static str> {
        let answer: Result<proto::RuntimeConfigResponse, _> =
            self.call("RuntimeService", "RuntimeConfig", CALL, proto::RuntimeConfigRequest {}).await;
        match answer.ok()?.linux?.cgroup_driver {
            0 => Some("systemd"),
            1 => Some("cgroupfs"),
            _ => None,
        }
    }

    /// Every sandbox of the namespace kube-system that a static pod made, with the containers of its component, newest
    /// first. A patch may have put others beside them; those are the kubelet's business.
    pub async fn static_pods(&self) -> Result<Vec<PodRun>, CriError> {
        let selector = [("io.kubernetes.pod.namespace".to_owned(), "kube-system".to_owned())];
        let sandboxes: proto::ListPodSandboxResponse = self
            .call(
                "RuntimeService",
                "ListPodSandbox",
                CALL,
                proto::ListPodSandboxRequest {
                    filter: Some(proto::PodSandboxFilter {
                        id: String::new(),
                        state: None,
                        label_selector: selector.clone().into(),
                    }),
                },
            )
            .await?;
        let containers: proto::ListContainersResponse = self
            .call(
                "RuntimeService",
                "ListContainers",
                CALL,
                proto::ListContainersRequest {
                    filter: Some(proto::ContainerFilter {
                        id: String::new(),
                        state: None,
                        pod_sandbox_id: String::new(),
                        label_selector: selector.into(),
                    }),
                },
            )
            .await?;
        let mut runs = vec![];
        for sandbox in sandboxes.items {
            if sandbox.annotations.get("kubernetes.io/config.source").is_none_or(|source| source != "file") {
                continue;
            }
            let mut own = vec![];
            let component = sandbox.labels.get("component");
            let is_own = |container: &&proto::Container| {
                let name = container.metadata.as_ref().map(|metadata| &metadata.name);
                container.pod_sandbox_id == sandbox.id && (component.is_none() || name == component)
            };
            for container in containers.containers.iter().filter(is_own) {
                own.push(self.container(container).await?);
            }
            own.sort_by_key(|container: &ContainerRun| std::cmp::Reverse((container.created_at, container.attempt)));
            runs.push(pod_run(sandbox, own));
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
        Ok(runs)
    }

    async fn container(&self, listed: &proto::Container) -> Result<ContainerRun, CriError> {
        let mut run = ContainerRun {
            id: listed.id.clone(),
            attempt: listed.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
            state: state(listed.state),
            created_at: listed.created_at,
            ..ContainerRun::default()
        };
        let answer: Result<proto::ContainerStatusResponse, _> = self
            .call(
                "RuntimeService",
                "ContainerStatus",
                CALL,
                proto::ContainerStatusRequest { container_id: listed.id.clone(), verbose: false },
            )
            .await;
        // The kubelet may have removed the container since it was listed.
        if let Some(status) = answer.ok().and_then(|answer| answer.status) {
            run.state = state(status.state);
            run.image = status.image.map(|image| image.image).unwrap_or_default();
            run.started_at = status.started_at;
            run.finished_at = status.finished_at;
            run.exit_code = status.exit_code;
            run.reason = status.reason;
            run.message = status.message;
            run.log_path = status.log_path;
        }
        Ok(run)
    }

    /// Every sandbox of every pod.
    pub async fn sandboxes(&self) -> Result<Vec<Sandbox>, CriError> {
        let answer: proto::ListPodSandboxResponse =
            self.call("RuntimeService", "ListPodSandbox", CALL, proto::ListPodSandboxRequest { filter: None }).await?;
        Ok(answer.items.into_iter().map(sandbox).collect())
    }

    /// Ends a sandbox and whatever runs in it, at once.
    pub async fn end_sandbox(&self, id: &str) -> Result<(), CriError> {
        let request = proto::PodSandboxId { pod_sandbox_id: id.to_owned() };
        let _: proto::Empty = self.call("RuntimeService", "StopPodSandbox", CALL, request.clone()).await?;
        let _: proto::Empty = self.call("RuntimeService", "RemovePodSandbox", CALL, request).await?;
        Ok(())
    }

    /// Ends a pod: its containers are killed after `grace` seconds, then its sandbox is stopped.
    ///
    /// Grace costs etcd seconds and gains nothing: what it acknowledged is in its synced log.
    pub async fn end_pod(&self, run: &PodRun, grace: u32) -> Result<(), CriError> {
        for container in run.containers.iter().filter(|container| container.state == ContainerState::Running) {
            let _: proto::Empty = self
                .call(
                    "RuntimeService",
                    "StopContainer",
                    CALL + Duration::from_secs(grace.into()),
                    proto::StopContainerRequest { container_id: container.id.clone(), timeout: grace.into() },
                )
                .await?;
        }
        let request = proto::PodSandboxId { pod_sandbox_id: run.sandbox.clone() };
        let _: proto::Empty = self.call("RuntimeService", "StopPodSandbox", CALL, request.clone()).await?;
        let _: proto::Empty = self.call("RuntimeService", "RemovePodSandbox", CALL, request).await?;
        Ok(())
    }

    /// Whether an image is in the runtime's store.
    pub async fn has_image(&self, reference: &str) -> Result<bool, CriError> {
        let answer: proto::ImageStatusResponse = self
            .call(
                "ImageService",
                "ImageStatus",
                CALL,
                proto::ImageRequest { image: Some(proto::ImageSpec { image: reference.into() }) },
            )
            .await?;
        Ok(answer.image.is_some())
    }

    /// Pulls an image with the runtime's own credentials.
    pub async fn pull_image(&self, reference: &str) -> Result<(), CriError> {
        let _: proto::Empty = self
            .call(
                "ImageService",
                "PullImage",
                PULL,
                proto::ImageRequest { image: Some(proto::ImageSpec { image: reference.into() }) },
            )
            .await?;
        Ok(())
    }
}

fn state(value: i32) -> ContainerState {
    match value {
        0 => ContainerState::Created,
        1 => ContainerState::Running,
        2 => ContainerState::Exited,
        _ => ContainerState::Unknown,
    }
}

fn sandbox(mut sandbox: proto::PodSandbox) -> Sandbox {
    let mut label = |name: &str| sandbox.labels.remove(name).unwrap_or_default();
    Sandbox {
        namespace: label("io.kubernetes.pod.namespace"),
        name: label("io.kubernetes.pod.name"),
        uid: label("io.kubernetes.pod.uid"),
        component: label("component"),
        app: label("k8s-app"),
        is_static: sandbox.annotations.get("kubernetes.io/config.source").is_some_and(|source| source == "file"),
        ready: sandbox.state == 0,
        id: sandbox.id,
    }
}

fn pod_run(mut sandbox: proto::PodSandbox, containers: Vec<ContainerRun>) -> PodRun {
    PodRun {
        name: sandbox.labels.remove("component").unwrap_or_default(),
        ready: sandbox.state == 0,
        digest: crate::observed::identity(|name| sandbox.annotations.get(name)),
        sandbox: sandbox.id,
        created_at: sandbox.created_at,
        containers,
    }
}
