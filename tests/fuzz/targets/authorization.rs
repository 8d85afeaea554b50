//! `Authorization` values: what is read is what a reader written another way reads.

use portcullis::authenticate::token_in_authorization;

use super::{is_token, trim};

pub fn run(data: &[u8]) {
    let found = token_in_authorization(data);
    let found = match &found {
        Ok(token) => Ok(token.map(|token| token.expose().as_bytes())),
        Err(denial) => {
            assert_eq!(denial.status(), 401);
            Err(())
        }
    };
    assert_eq!(found, reference(data));
}

fn reference(value: &[u8]) -> Result<Option<&[u8]>, ()> {
    let value = trim(value);
    let end = value
        .iter()
        .position(|byte| !is_token(&[*byte]))
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"bearer") && !scheme.eq_ignore_ascii_case(b"token") {
        return Ok(None);
    }
    let token = trim(rest);
    let parted = rest.len() > token.len();
    let well_formed =
        (1..=8_000).contains(&token.len()) && token.iter().all(|byte| (0x21..=0x7E).contains(byte));
    if parted && well_formed {
        Ok(Some(token))
    } else {
        Err(())
    }
}
