//! What is renewed: which certificates get successors with new keys although they fit.

use super::diff::Planner;
use super::{Reason, Renewal, Step};
use crate::config::Config;
use crate::error::Problem;
use crate::pki::{self, Renewable};

impl Planner<'_> {
    /// Whether what is there gets a successor although it may fit. Besides everything else, only what is ours and signed here does:
    /// the rest is left alone, and told.
    pub(super) fn renews(&mut self, id: Renewable, path: &str, external: bool) -> bool {
        let renew = &self.options.renew;
        if renew.alone || !renew.ids.contains(&id) {
            return renew.ids.contains(&id);
        }
        let reason = match () {
            () if external => "the key of its certificate authority is not on this node",
            () if !self.seen.inventory.owns(path) => "kubekeel did not write it",
            () => return true,
        };
        self.plan.unrenewed.push(Problem::new(path, reason));
        false
    }

    /// Plans to take what an authority elsewhere signed; true when it does.
    pub(super) fn imports(&mut self, id: Renewable, paths: &[&str]) -> bool {
        let Some(directory) = self.options.renew.signed_in.clone() else { return false };
        let requested = self.options.renew.ids.contains(&id);
        if requested {
            self.touched.extend(paths.iter().map(|path| (*path).to_owned()));
            self.plan.steps.push(Step::Import { id, directory });
        }
        requested
    }
}

impl Renewal {
    /// The same, with all that another configuration makes another certificate of: it has a name that nobody wants any more, or is to
    /// have another algorithm or lifetime. What only lacks something does not fit, and is issued anew in any case.
    #[must_use]
    pub fn with_changes(mut self, was: &Config, config: &Config) -> Self {
        let profile = |id, config| match id {
            Renewable::Certificate(id) => pki::profile(id, config),
            Renewable::Kubeconfig(id) => pki::client_profile(id, config),
        };
        let changed = Renewable::all().filter(|id| {
            let (was, is) = (profile(*id, was), profile(*id, config));
            let surplus = was.sans.iter().any(|san| !is.sans.contains(san));
            surplus || was.algorithm != is.algorithm || was.validity != is.validity
        });
        let changed: Vec<_> = changed.filter(|id| !self.ids.contains(id)).collect();
        self.ids.extend(changed);
        self
    }
}

impl Reason {
    /// Why what is there gets a successor.
    pub(super) fn of(misfits: Vec<String>, requested: bool) -> Self {
        match () {
            () if requested => Self::Requested,
            () if misfits.is_empty() => Self::AuthorityChanges,
            () => Self::Unfit(misfits),
        }
    }
}
