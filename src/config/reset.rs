//! `ResetConfiguration`: what `reset` of kubeadm takes from a file (`ValidateResetConfiguration`).

use super::fields::Fields;
use super::{init, value};

/// `umount2(2)`, by the names that kubeadm gives them (`ValidateUnmountFlags`).
const UNMOUNT_FLAGS: [&str; 4] = ["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"];

/// Judges the document.
pub(super) fn judge(fields: &mut Fields<'_>) {
    let problems = fields.problems();
    for name in ["cleanupTmpDir", "dryRun", "force"] {
        fields.boolean(name);
    }
    if let Some(directory) = fields.string("certificatesDir") {
        directory.check(problems, |path| value::directory(path));
    }
    if let Some(socket) = fields.string("criSocket") {
        socket.check(problems, |socket| value::cri_socket(socket));
    }
    init::ignored_checks(fields);
    fields.strings("skipPhases");
    fields.list("unmountFlags", |item| {
        item.string()?.check(problems, |flag| value::one_of(flag, &UNMOUNT_FLAGS));
        Some(())
    });
    fields.object("timeouts", |fields| init::timeouts(fields).judge(problems));
}
