//! The file behind a symbolic link. The owner of every link on the way is checked.

use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path},
};

use rustix::io::{Errno, retry_on_intr};

use crate::secret::{
    file_error::FileError,
    unix::{directory::Directory, permissions},
};

/// The most links that are followed, as in Linux.
const LINKS: usize = 40;

impl Directory {
    /// The file that the symbolic link `name` leads to, not yet checked.
    ///
    /// In a sticky directory all users can create a link, and choose with it which file of this user is read. So every
    /// link on the way, those to directories included, must belong to this user or to root.
    pub(super) fn follow(&self, name: &OsStr) -> Result<File, FileError> {
        let nothing = || FileError::Missing("is a symbolic link to nothing");
        let mut folder: Option<Self> = None;
        // The parts of the path that are still ahead, the next one last.
        let mut ahead = vec![name.to_owned()];
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            let here = folder.as_ref().unwrap_or(self);
            let stat = here.status_of(&name)?.ok_or_else(nothing)?;
            if permissions::is_symlink(&stat) {
                links += 1;
                if links > LINKS {
                    return Err(cannot(Errno::LOOP));
                }
                permissions::check_link(&stat, &name)?;
                let target = retry_on_intr(|| rustix::fs::readlinkat(&here.descriptor, &name, Vec::new()));
                let target = target.map_err(cannot)?;
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                let parts = target.components().filter(|part| *part != Component::CurDir);
                ahead.extend(parts.rev().map(|part| part.as_os_str().to_owned()));
            } else if ahead.is_empty() {
                return here.open_here(&name)?.ok_or_else(nothing);
            } else {
                let next = here.open_folder(&name)?.ok_or_else(nothing)?;
                folder = Some(next);
            }
        }
        Err(FileError::Permissions(
            "is a symbolic link to a directory, expected a regular file".to_owned(),
        ))
    }
}

fn cannot(errno: Errno) -> FileError {
    FileError::system("cannot be opened", errno)
}
