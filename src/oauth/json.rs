//! Bodies of answers that are JSON objects.

use serde::Deserialize;

/// What `body`, a JSON object, says; nothing if it is anything else, a list of the values among it.
pub(crate) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    // A list would be taken for a struct as well.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{OAuthError, TokenResponse};

    #[test]
    fn a_list_of_the_values_of_an_answer_is_no_answer() {
        for (token, error) in [
            (r#"{"access_token": "abc"}"#, r#"{"error": "invalid_grant"}"#),
            (
                " \n{\"access_token\": \"abc\"}",
                "\r\t{\"error\": \"invalid_grant\"}",
            ),
        ] {
            assert!(TokenResponse::parse(token.as_bytes()).is_ok(), "{token:?}");
            assert!(OAuthError::from_json(error.as_bytes()).is_some(), "{error:?}");
        }
        for (token, error) in [
            (r#"["abc"]"#, r#"["invalid_grant"]"#),
            (r#"["abc", "Bearer", 60, "read"]"#, r#"["invalid_grant", "no"]"#),
            (r#""abc""#, r#""invalid_grant""#),
            ("null", "null"),
            ("", ""),
        ] {
            assert!(TokenResponse::parse(token.as_bytes()).is_err(), "{token:?}");
            assert!(OAuthError::from_json(error.as_bytes()).is_none(), "{error:?}");
        }
    }
}
