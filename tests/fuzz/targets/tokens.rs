//! Token texts: taken if a header can carry them; a generated one that was changed is known for mistyped.

use std::sync::LazyLock;

use portcullis::{Grant, Identity, Secret, Token, TokenSet, token::PresentedToken};

use super::edited;

static GENERATED: LazyLock<Token> = LazyLock::new(Token::generate);

/// A token, a list of them, or changes to a generated one.
pub fn run(data: &[u8]) {
    let changed = edited(GENERATED.expose().as_bytes(), data);
    for text in [data, &changed] {
        check(text);
    }
    if changed.starts_with(b"pcl_")
        && changed != GENERATED.expose().as_bytes()
        && let Some(changed) = PresentedToken::new(&changed)
    {
        assert!(changed.has_checksum_error());
    }

    let list = TokenSet::from_list(&Secret::from(data), Grant::new(Identity::new("one")));
    let entries: Vec<&[u8]> = data.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
    match list {
        Ok(set) => assert_eq!(set.len(), entries.len()),
        Err(error) => {
            let all_good = entries
                .iter()
                .all(|entry| Token::from_secret(Secret::from(*entry)).is_ok());
            let twice = (1..entries.len()).any(|place| entries[..place].contains(&entries[place]));
            assert!(!all_good || twice, "{error}");
        }
    }
}

fn check(text: &[u8]) {
    let well_formed =
        (1..=8_000).contains(&text.len()) && text.iter().all(|byte| (0x21..=0x7E).contains(byte));
    let presented = PresentedToken::new(text);
    assert_eq!(presented.is_some(), well_formed);
    match Token::from_secret(Secret::from(text)) {
        Ok(token) => {
            let presented = presented.expect("a client can send it");
            assert!(!presented.has_checksum_error());
            assert_eq!(token.expose().as_bytes(), text);
            assert_eq!(presented.expose(), token.expose());
            assert_eq!(token.hash(), presented.hash());
            let value = token.to_authorization_header();
            assert!(value.is_sensitive());
            assert_eq!(value.as_bytes(), [b"Bearer ", text].concat());
            assert_eq!(format!("{token:?}{presented:?}"), "TokenPresentedToken");
        }
        Err(error) => {
            let too_long = text.len() > Token::MAX_LEN;
            assert!(too_long || presented.is_none_or(PresentedToken::has_checksum_error));
            // All but the count is a fixed text, and nothing of what was found.
            let error = error
                .to_string()
                .replace(|digit: char| digit.is_ascii_digit(), "");
            let form = "expected a token of  to  visible ASCII characters, found ";
            let known = [
                format!("{form}nothing"),
                format!("{form} characters"),
                format!("{form} bytes with a space, control or non-ASCII byte at place "),
                "token begins with pcl_ and its checksum is wrong: mistyped or cut short".to_owned(),
            ];
            assert!(known.contains(&error), "{error}");
        }
    }
}
