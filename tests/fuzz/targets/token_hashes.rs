//! Token hashes: 64 hexadecimal digits and nothing else; what is read is what is printed.

use portcullis::token::TokenHash;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let well_formed = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.parse::<TokenHash>() {
        Ok(hash) => {
            assert!(well_formed);
            assert_eq!(hash.to_string(), text.to_ascii_lowercase());
            assert_eq!(TokenHash::from(*hash.as_bytes()), hash);
            assert!(!format!("{hash:?}").contains(&hash.to_string()[8..]));
        }
        Err(error) => {
            assert!(!well_formed);
            // All but the count is a fixed text, and nothing of what was found.
            let fixed = |digit: char| digit.is_ascii_digit();
            let error = error.to_string().replace(fixed, "");
            let place = "bytes with a space, control or non-ASCII byte at place ";
            let known = ["nothing", " characters", &format!(" {place}")];
            let said =
                known.map(|found| format!("expected a token hash of  hexadecimal digits, found {found}"));
            assert!(said.contains(&error), "{error}");
        }
    }
}
