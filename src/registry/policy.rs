//! Rules of registries that forbid what the protocol allows.

/// A rule of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The tag exists and may not be moved.
    Immutable,
    /// The project is full.
    Quota,
    /// The registry takes no pushes at the moment.
    ReadOnly,
    /// The project mirrors another registry.
    ProxyProject,
    /// Scan results or a missing signature forbid the pull.
    Blocked,
}

impl Policy {
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Immutable => "the tag is immutable and already exists",
            Self::Quota => "the project is full",
            Self::ReadOnly => "the registry is in read-only mode or a mirror",
            Self::ProxyProject => "the project is a proxy cache and takes no pushes",
            Self::Blocked => "a policy of the registry blocks this image",
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Immutable => "REG-IMMUTABLE",
            Self::Quota => "REG-QUOTA",
            Self::ReadOnly => "REG-READ-ONLY",
            Self::ProxyProject => "REG-PROXY-PROJECT",
            Self::Blocked => "REG-BLOCKED",
        }
    }

    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Immutable => "choose a new version; the image itself is uploaded",
            Self::Quota => "free space or ask for a higher quota",
            Self::ReadOnly => {
                "try again when its maintenance is over; push to another registry if it is a mirror"
            }
            Self::ProxyProject => "push to a normal project",
            Self::Blocked => "is a scan pending, were vulnerabilities found, or is it not signed?",
        }
    }
}
