//! `bootstrapTokens` and `certificateKey`: the secrets with which nodes join. No message shows one.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::{Fields, Item};
use super::given::{Given, Origin, Wrong, quoted};
use super::value;
use crate::token::{CertificateKey, Token};

/// A bootstrap token, with which nodes join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    /// `token`; without it one is made.
    pub token: Option<Token>,
    /// `description`, may be empty.
    pub description: String,
    /// `ttl` or `expires`.
    pub lifetime: Lifetime,
    /// `usages`, of `signing` and `authentication`.
    pub usages: Vec<String>,
    /// `groups`, each beginning with `system:bootstrappers:`.
    pub groups: Vec<String>,
}

/// How long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever.
    Endless,
    /// So long after it was made.
    For(Duration),
    /// Until then.
    Until(SystemTime),
}

impl Lifetime {
    /// What a `ttl` stands for: 0 is for ever.
    pub fn of(ttl: Duration) -> Self {
        if ttl.is_zero() { Self::Endless } else { Self::For(ttl) }
    }

    /// When a token ends that is made now; `None` is never.
    pub fn ends(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::Endless => None,
            Self::For(ttl) => now.checked_add(ttl),
            Self::Until(end) => Some(end),
        }
    }
}

/// kubeadm's defaults (`apis/bootstraptoken/v1/defaults.go`).
impl Default for BootstrapToken {
    fn default() -> Self {
        Self {
            token: None,
            description: String::new(),
            lifetime: Lifetime::For(Duration::from_secs(24 * 3600)),
            usages: vec!["signing".into(), "authentication".into()],
            groups: vec!["system:bootstrappers:kubeadm:default-node-token".into()],
        }
    }
}

/// What a bootstrap token may be for.
const USAGES: [&str; 2] = ["signing", "authentication"];

/// `bootstrapTokens`: nothing given means one token by default, as in kubeadm.
pub(super) fn tokens(item: Item<'_>) -> Option<Vec<BootstrapToken>> {
    let tokens = item.list(|item| item.object(token).flatten().map(|token| (item.origin(), token)))?;
    let mut first: HashMap<&str, &Origin> = HashMap::new();
    for (origin, token) in &tokens {
        // The id is the name of the token's Secret.
        if let Some(id) = token.token.as_ref().map(Token::id)
            && first.insert(id, origin).is_some()
        {
            item.problems.add(origin, Wrong::new(format!("another token begins with {}", quoted(id))));
        }
    }
    Some(tokens.into_iter().map(|(_, token)| token).collect())
}

/// One token, judged like `validation.go`, `ValidateBootstrapTokens`.
fn token(fields: &mut Fields<'_>) -> Option<BootstrapToken> {
    let problems = fields.problems();
    let token = fields.secret("token");
    let token = token.map(|given| given.check(problems, |text| text.parse::<Token>().map_err(Wrong::from_error)));
    let description = fields.string("description");
    let description = description.map(|given| given.value).unwrap_or_default();
    let lifetime = lifetime(fields);
    let usages = fields.list("usages", |item| listed(item, |text| value::one_of(text, &USAGES)));
    let groups = fields.list("groups", |item| listed(item, value::bootstrap_group));
    let default = BootstrapToken::default();
    let usages = usages.filter(|usages| !usages.is_empty()).unwrap_or(default.usages);
    let authenticates = usages.iter().any(|usage| usage == "authentication");
    let groups = groups.filter(|groups| !groups.is_empty());
    if groups.is_some() && !authenticates {
        let wrong = Wrong::new("nobody can log in with this token, so it has no groups");
        fields.report("groups", wrong.hint("add authentication to its usages, or remove the groups"));
    }
    Some(BootstrapToken {
        token: token.map_or(Some(None), |judged| judged.map(Some))?,
        description,
        lifetime: lifetime?,
        usages,
        groups: groups.unwrap_or(if authenticates { default.groups } else { vec![] }),
    })
}

fn listed(item: Item<'_>, judge: fn(&str) -> Result<String, Wrong>) -> Option<String> {
    item.string()?.check(item.problems, |text| judge(text))
}

/// `ttl` or `expires`; kubeadm defaults `ttl` before it looks for `expires`, and so refuses every `expires`.
fn lifetime(fields: &mut Fields<'_>) -> Option<Lifetime> {
    let (ttl, expires) = (fields.string("ttl"), fields.string("expires"));
    let problems = fields.problems();
    if let (Some(_), Some(expires)) = (&ttl, &expires) {
        problems.add(&expires.origin, Wrong::new("ttl and expires exclude each other").hint("remove one of them"));
    }
    let ttl = ttl.map(|given| given.check(problems, |text| value::duration(text)).map(Lifetime::of));
    let until = expires.map(|given| given.check(problems, |text| moment(text)).map(Lifetime::Until));
    ttl.or(until).unwrap_or(Some(BootstrapToken::default().lifetime))
}

/// A moment as the API has it.
fn moment(text: &str) -> Result<SystemTime, Wrong> {
    OffsetDateTime::parse(text, &Rfc3339).map(SystemTime::from).map_err(|_| {
        Wrong::new(format!("{} is not a point in time", quoted(text))).hint("write it like 2030-01-31T12:00:00Z")
    })
}

/// `certificateKey`.
pub(super) fn certificate_key(fields: &mut Fields<'_>) -> Option<CertificateKey> {
    let given: Given<_> = fields.secret("certificateKey")?;
    given.check(fields.problems(), |text| text.parse().map_err(|message: String| Wrong::new(message)))
}
