//! Steps that fill the cluster.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::{Applier, failed};
use crate::cluster::{self, Known, Object, Part};
use crate::config::BootstrapToken;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::api::ApiError;
use crate::token::{CertificateKey, Token};

/// How long between two attempts.
const PERIOD: Duration = Duration::from_millis(200);

impl Applier<'_> {
    pub(super) async fn bind_administrators(&mut self) -> Result<()> {
        self.apply_all(cluster::administrators()).await.map(drop)
    }

    pub(super) async fn apply_objects(&mut self, parts: &[Part], titles: &[String]) -> Result<()> {
        let authority = self.read(&self.pki_path("ca.crt"))?;
        let authority = String::from_utf8_lossy(&authority);
        let known = Known { authority: &authority, live: &self.seen.objects };
        let mut objects = cluster::all(parts, self.config, known)?;
        objects.retain(|object| titles.contains(&object.title()));
        self.apply_all(objects).await.map(drop)
    }

    pub(super) async fn make_bootstrap_token(&mut self, index: usize) -> Result<()> {
        let Some(wanted) = self.config.bootstrap_tokens.get(index) else { return Ok(()) };
        let (token, _) = self.put_token(wanted).await?;
        self.made.token.get_or_insert(token);
        Ok(())
    }

    /// Makes the token and its Secret; gives both.
    async fn put_token(&mut self, wanted: &BootstrapToken) -> Result<(Token, Value)> {
        let token = match &wanted.token {
            Some(token) => token.clone(),
            None => Token::generate(host::random).map_err(|error| failed(&error))?,
        };
        let secret = cluster::token_secret(&token, wanted, host::now());
        let applied = self.apply_all(vec![secret]).await?;
        Ok((token, applied.into_iter().next().unwrap_or_default()))
    }

    pub(super) async fn upload_certificates(&mut self) -> Result<()> {
        let key = self.config.certificate_key.clone().map_or_else(|| CertificateKey::generate(host::random), Ok);
        let key = key.map_err(|error| failed(&error))?;
        let mut sealed = vec![];
        for (name, path) in cluster::uploaded_files(self.config) {
            let mut nonce = [0; 12];
            host::random(&mut nonce).map_err(|error| failed(&error))?;
            let content = self.read(&path)?;
            let content = cluster::encrypt(&content, &key, nonce).map_err(|error| Error::new(Kind::Step, error))?;
            sealed.push((name, content));
        }
        let (_, owner) = self.put_token(&cluster::certificates_owner()).await?;
        self.apply_all(cluster::certificates_secret(&sealed, &owner)).await?;
        self.made.certificate_key = Some(key);
        Ok(())
    }

    pub(super) async fn mark_node(&mut self) -> Result<()> {
        let api = self.prover().api().await?;
        let labels = cluster::labels();
        self.retry(|| api.mark_node(&self.config.node.name, &labels, &self.config.node.taints)).await
    }

    /// Applies all objects at the same time; gives them as they are then, in any order.
    async fn apply_all(&mut self, objects: Vec<Object>) -> Result<Vec<Value>> {
        self.flush()?;
        let api = self.prover().api().await?;
        let limit = self.config.timeouts.kubernetes_api_call;
        let mut tasks = JoinSet::new();
        for object in objects {
            let api = api.clone();
            tasks.spawn(async move { insist(limit, || api.apply(&object)).await });
        }
        let mut applied = vec![];
        loop {
            match tokio::time::timeout(PERIOD, tasks.join_next()).await {
                Err(_) => self.interrupt.check()?,
                Ok(None) => return Ok(applied),
                Ok(Some(Ok(Ok(object)))) => applied.push(object),
                Ok(Some(Ok(Err(error)))) => return Err(refused(&error)),
                Ok(Some(Err(error))) => return Err(failed(&error)),
            }
        }
    }

    /// Asks the API server until it agrees; it may still be filling its caches.
    pub(super) async fn retry<F, O>(&self, attempt: F) -> Result<()>
    where
        F: Fn() -> O,
        O: Future<Output = Result<(), ApiError>>,
    {
        let insist = insist(self.config.timeouts.kubernetes_api_call, attempt);
        tokio::pin!(insist);
        loop {
            match tokio::time::timeout(PERIOD, &mut insist).await {
                Err(_) => self.interrupt.check()?,
                Ok(result) => return result.map_err(|error| refused(&error)),
            }
        }
    }
}

async fn insist<T, F, O>(limit: Duration, attempt: F) -> Result<T, ApiError>
where
    F: Fn() -> O,
    O: Future<Output = Result<T, ApiError>>,
{
    let began = Instant::now();
    loop {
        match attempt().await {
            // What the API server does not understand it will not understand later either.
            Err(error) if began.elapsed() < limit && !matches!(error.status(), Some(400 | 422)) => {
                host::sleep(PERIOD).await;
            }
            result => return result,
        }
    }
}

fn refused(error: &ApiError) -> Error {
    Error::new(Kind::Step, "the API server refused").because(error)
}
