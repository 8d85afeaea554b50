//! Why a JWT is not accepted.

use crate::{denial::Reason, verify::Verification};

/// Why a JWT is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    NotJwt,
    OtherIssuer,
    Algorithm,
    Type,
    CriticalExtension,
    UnknownKey,
    Signature,
    Audience,
    Expiry,
    NotYetValid,
    BoundToKey,
    Username,
    Mapping,
}

impl Rejection {
    /// The reason for the log, with the setting to look at. It contains nothing of the token.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotJwt => "not a signed JWT",
            Self::OtherIssuer => "`iss` is not the issuer of this verifier",
            Self::Algorithm => "`alg` is not an allowed algorithm: see `algorithms`",
            Self::Type => "`typ` is not `at+jwt`: see `allow_any_type`",
            Self::CriticalExtension => "`crit` lists an extension, and none is supported",
            Self::UnknownKey => "the key set has no key with this `kid` for this `alg`",
            Self::Signature => "the signature is wrong",
            Self::Audience => "`aud` does not name this server: see `audience`",
            Self::Expiry => "`exp` is missing or not a time",
            Self::NotYetValid => "`nbf` is in the future or not a time: see `leeway`",
            Self::BoundToKey => "`cnf` binds the token to a key of the client, which is not supported",
            Self::Username => "the claim with the username is missing, or no text: see `username_claim`",
            Self::Mapping => "`map_grant` returned none",
        }
    }

    /// What the layer answers.
    pub(super) fn verification(self) -> Verification {
        match self {
            Self::NotJwt => Verification::Unknown,
            Self::OtherIssuer => Verification::Rejected(Reason::UnsupportedToken),
            _ => Verification::Rejected(Reason::UnknownToken),
        }
    }
}
