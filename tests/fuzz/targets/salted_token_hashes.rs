//! Salted hashes of tokens: one form, bounded work, and a token that is only what the hash was made of.

use portcullis::{store::SaltedTokenHash, token::PresentedToken};

/// The text of a hash, a line end, and a token.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, token) = data.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match text.parse::<SaltedTokenHash>() {
        Ok(hash) => {
            let fields: Vec<&str> = text.split(':').collect();
            let [algorithm, rounds, salt, digest] = fields[..] else {
                panic!("{text:?}")
            };
            let length = match algorithm {
                "sha256" => 64,
                "sha512" => 128,
                _ => panic!("{algorithm:?}"),
            };
            assert!((1..=65_536).contains(&rounds.parse::<u32>().expect("a number")));
            assert!(salt.len() <= 64 && digest.len() == length);
            assert!(
                digest
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            );
            assert_eq!(format!("{hash:?}"), "SaltedTokenHash");
            if let Some(token) = PresentedToken::new(token.get(1..).unwrap_or_default()) {
                assert!(!hash.matches(token) || token.expose().len() <= SaltedTokenHash::MAX_TOKEN_LEN);
            }
        }
        Err(error) => assert!(error.to_string().starts_with("salted token hash: expected ")),
    }
}
