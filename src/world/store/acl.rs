//! What is made in a cell stays open to the account that owns it, whatever the umask of the agent who makes it.

use rustix::fs::{XattrFlags, fsetxattr};
use std::os::fd::AsFd;

/// The name of a directory's default access list, which everything that is made in it gets.
const DEFAULT: &str = "system.posix_acl_default";

/// How the kernel writes such a list: its version, then entries of a tag, rights and an id (Linux
/// `include/uapi/linux/posix_acl_xattr.h`).
const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;
const ALL: u16 = 7;

/// Gives whatever is made in a directory to our own account and to its group as well, instead of what a umask leaves. Modes
/// that an agent asks for itself still count. Where the file system knows no access lists, all is as it was.
pub(in crate::world) fn open_to_owner(directory: impl AsFd) {
    let user = rustix::process::geteuid().as_raw();
    let entries = [(0x01, ALL, NOBODY), (0x02, ALL, user), (0x04, ALL, NOBODY), (0x10, ALL, NOBODY), (0x20, 0, NOBODY)];
    let mut list = VERSION.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        let tag: u16 = tag;
        list.extend(tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes()));
    }
    if let Err(error) = fsetxattr(directory, DEFAULT, &list, XattrFlags::empty()) {
        tracing::debug!("no default access list is set: {error}");
    }
}
