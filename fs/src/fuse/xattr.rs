//! Extended attributes.

use rustix::io::Errno;

use super::caller::Caller;
use super::protocol::Reply;
use super::reply::Call;
use crate::acl::{ACCESS_ATTRIBUTE, DEFAULT_ATTRIBUTE};
use crate::error::FsErrorKind;
use crate::types::{InodeNumber, XattrMode};
use crate::volume::Volume;

/// The namespaces that are kept, besides access control lists. Who may use which, the kernel has
/// checked. What is not listed is refused.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// The namespace of administrators.
const TRUSTED: &[u8] = b"trusted.";
/// A label that the kernel asks for only where no security module looks after labels.
const SELINUX_LABEL: &[u8] = b"security.selinux";

/// GETXATTR.
///
/// `ls -l` asks each file for ACLs and a label, until it hears that there are none at all.
pub(super) fn get(volume: &Volume, inode: InodeNumber, name: &[u8], space: u32, reply: Reply) {
    if !is_kept(name) {
        return reply.error(Errno::OPNOTSUPP);
    }
    let result = volume.getxattr(inode, name);
    let is_missing = result.as_ref().is_err_and(|e| e.kind() == FsErrorKind::NoAttribute);
    if is_missing && name == SELINUX_LABEL {
        return reply.error(Errno::OPNOTSUPP);
    }
    Call::new("getxattr", inode).answer(reply, result, |reply, value| send(reply, &value, space));
}

/// LISTXATTR: the names, each with a zero byte behind it; those of administrators only for them.
pub(super) fn list(volume: &Volume, inode: InodeNumber, space: u32, caller: &Caller, reply: Reply) {
    let result = volume.listxattr(inode).map(|names| {
        let is_trusted = |name: &Vec<u8>| name.starts_with(TRUSTED);
        // Looking at the caller costs more than the list.
        if !names.iter().any(is_trusted) || caller.is_administrator() {
            return names;
        }
        names.into_iter().filter(|name| !is_trusted(name)).collect()
    });
    Call::new("listxattr", inode)
        .answer(reply, result, |reply, names| send(reply, &name_list(&names), space));
}

/// SETXATTR.
pub(super) fn set(
    volume: &Volume,
    inode: InodeNumber,
    name: &[u8],
    value: &[u8],
    flags: u32,
    reply: Reply,
) {
    match xattr_mode(flags) {
        _ if NAMESPACES.contains(&name) => reply.error(Errno::INVAL),
        _ if !is_kept(name) => reply.error(Errno::OPNOTSUPP),
        Some(mode) => {
            let result = volume.setxattr(inode, name, value, mode);
            Call::new("setxattr", inode).answer_empty(reply, result);
        }
        None => reply.error(Errno::INVAL),
    }
}

/// SETXATTR of an access control list.
pub(super) fn set_acl(
    volume: &Volume,
    inode: InodeNumber,
    name: &[u8],
    value: &[u8],
    kills_setgid: bool,
    reply: Reply,
) {
    let result = volume.set_acl(inode, name, value, kills_setgid);
    Call::new("setxattr", inode).answer_empty(reply, result);
}

/// REMOVEXATTR. To have no access control list is what who removes one wants.
pub(super) fn remove(volume: &Volume, inode: InodeNumber, name: &[u8], reply: Reply) {
    let result = match volume.removexattr(inode, name) {
        Err(error) if error.kind() == FsErrorKind::NoAttribute && is_acl(name) => Ok(()),
        result => result,
    };
    Call::new("removexattr", inode).answer_empty(reply, result);
}

/// Whether this attribute is an access control list.
pub(super) fn is_acl(name: &[u8]) -> bool {
    name == ACCESS_ATTRIBUTE || name == DEFAULT_ATTRIBUTE
}

fn is_kept(name: &[u8]) -> bool {
    is_acl(name)
        || NAMESPACES
            .iter()
            .any(|namespace| name.len() > namespace.len() && name.starts_with(namespace))
}

/// Sends the bytes if the caller has space for them, or their length if it asks for that (space 0).
pub(super) fn send(reply: Reply, bytes: &[u8], space: u32) {
    match u32::try_from(bytes.len()) {
        Ok(length) if space == 0 => reply.written(length),
        Ok(length) if length <= space => reply.data(bytes),
        _ => reply.error(Errno::RANGE),
    }
}

fn name_list(names: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::with_capacity(names.iter().map(|name| name.len() + 1).sum());
    for name in names {
        list.extend_from_slice(name);
        list.push(0);
    }
    list
}

fn xattr_mode(flags: u32) -> Option<XattrMode> {
    match flags.cast_signed() {
        0 => Some(XattrMode::Set),
        libc::XATTR_CREATE => Some(XattrMode::Create),
        libc::XATTR_REPLACE => Some(XattrMode::Replace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_with_zero_bytes_behind_them() {
        assert_eq!(name_list(&[]), b"");
        assert_eq!(name_list(&[b"user.a".to_vec(), b"user.bc".to_vec()]), b"user.a\0user.bc\0");
    }

    #[test]
    fn only_known_namespaces_are_kept() {
        assert!(is_kept(b"user.a") && is_kept(b"trusted.a") && is_kept(b"security.a"));
        assert!(!is_kept(b"user.") && !is_kept(b"nonsense"));
        assert!(is_kept(b"system.posix_acl_access") && !is_kept(b"system.other"));
    }

    #[test]
    fn flags_that_contradict_are_refused() {
        const CREATE: u32 = libc::XATTR_CREATE.cast_unsigned();
        const REPLACE: u32 = libc::XATTR_REPLACE.cast_unsigned();
        assert_eq!(xattr_mode(0), Some(XattrMode::Set));
        assert_eq!(xattr_mode(CREATE), Some(XattrMode::Create));
        assert_eq!(xattr_mode(REPLACE), Some(XattrMode::Replace));
        assert_eq!(xattr_mode(CREATE | REPLACE), None);
    }
}
