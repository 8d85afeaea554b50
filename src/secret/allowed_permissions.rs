//! What of a secret file is allowed beyond the strict rules.

/// What of a file is allowed beyond the strict rules.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AllowedPermissions {
    /// Its group reads it.
    pub(super) group_read: bool,
    /// All users read it.
    pub(super) all_read: bool,
    /// A directory that others own or may write.
    pub(super) shared_directory: bool,
    /// A symbolic link as the path's last part.
    pub(super) symlink: bool,
    /// A system where none of this can be checked.
    pub(crate) unchecked: bool,
    /// The public setter of `unchecked`, for errors.
    #[cfg_attr(unix, allow(dead_code, reason = "Unix checks, and needs no setter"))]
    pub(super) setter: &'static str,
}

impl AllowedPermissions {
    /// Nothing is allowed yet. `setter` is the public function that sets `unchecked`.
    pub(crate) fn strict(setter: &'static str) -> Self {
        Self {
            setter,
            ..Self::default()
        }
    }

    /// Rejects every file of a system where permissions cannot be checked, unless the caller allows that.
    ///
    /// Called by the code for such systems only.
    #[cfg(any(test, not(unix)))]
    pub(super) fn require_unchecked(self) -> Result<(), String> {
        if self.unchecked {
            return Ok(());
        }
        Err(format!(
            "is on a system where the access of other users cannot be checked: make sure that only its owner has \
             access, then call `{}`",
            self.setter
        ))
    }
}
