//! Keeps files that agents create accessible to the owner of the cell, whatever the agent's umask.

use rustix::fs::{XattrFlags, fsetxattr};
use std::os::fd::AsFd;

/// The extended attribute with a directory's default access list, which new entries inherit.
const DEFAULT: &str = "system.posix_acl_default";

/// The version of the kernel's format: the version, then entries of tag, rights and id (Linux
/// `include/uapi/linux/posix_acl_xattr.h`).
const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;
const ALL: u16 = 7;

/// Gives this service's account and group access to everything created in a directory, regardless of the umask. Modes
/// that an agent sets explicitly still apply. Without support in the file system nothing changes.
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
