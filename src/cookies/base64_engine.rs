//! What reads the base64 of cookies: vector instructions where the processor has them, else the plain engine.

pub(super) use chosen::STANDARD;
#[cfg(feature = "encrypted-cookies")]
pub(super) use chosen::URL_SAFE;

#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod chosen {
    use std::sync::LazyLock;

    use base64::engine::{Simd, general_purpose};

    pub(in crate::cookies) static STANDARD: LazyLock<Simd> =
        LazyLock::new(|| Simd::standard(general_purpose::PAD));

    #[cfg(feature = "encrypted-cookies")]
    pub(in crate::cookies) static URL_SAFE: LazyLock<Simd> =
        LazyLock::new(|| Simd::url_safe(general_purpose::NO_PAD));
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod chosen {
    use std::sync::LazyLock;

    use base64::{engine::GeneralPurpose, prelude};

    pub(in crate::cookies) static STANDARD: LazyLock<GeneralPurpose> =
        LazyLock::new(|| prelude::BASE64_STANDARD);

    #[cfg(feature = "encrypted-cookies")]
    pub(in crate::cookies) static URL_SAFE: LazyLock<GeneralPurpose> =
        LazyLock::new(|| prelude::BASE64_URL_SAFE_NO_PAD);
}
