//! Many tokens, each with its own grant.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::shared_token::unknown;
use crate::{
    error::ConfigError,
    maybe_future::MaybeFuture,
    secret::{self, Secret},
    session::{grant::Grant, identity::Identity, scopes::Scope},
    token::{PresentedToken, Token, TokenHash},
    verify::{TokenVerifier, Verification},
};

/// Many tokens, each with its own grant, kept as hashes.
///
/// A lookup by the SHA-256 of the presented token has the same cost for one token and for ten thousand. It takes no
/// lock and allocates nothing.
///
/// A clone is a handle on the same set: [`TokenSet::replace`] changes all of them, from the next request on.
///
/// # Example
///
/// ```
/// use portcullis::{Grant, Identity, Token, verify::TokenSet};
///
/// let (alice, bob) = (Token::generate(), Token::generate());
/// let set = TokenSet::new([
///     (alice.clone(), Grant::new(Identity::new("alice"))),
///     (bob, Grant::new(Identity::new("bob")).with_scopes(["read"])),
/// ])?;
///
/// let serving = set.clone();
/// // Bob's token is revoked, for `serving` as well.
/// set.replace(TokenSet::new([(alice, Grant::new(Identity::new("alice")))])?);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct TokenSet(Arc<ArcSwap<Table>>);

type Table = HashMap<Digest, Grant>;

impl TokenSet {
    /// Creates a set of these tokens.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if there is none, which would reject every request and usually comes from a
    /// forgotten setting, or if one is there twice.
    pub fn new(tokens: impl IntoIterator<Item = (Token, Grant)>) -> Result<Self, ConfigError> {
        Self::from_hashes(tokens.into_iter().map(|(token, grant)| (token.hash(), grant)))
    }

    /// Creates a set of the tokens with these hashes.
    ///
    /// # Errors
    ///
    /// Returns those of [`TokenSet::new`].
    pub fn from_hashes(hashes: impl IntoIterator<Item = (TokenHash, Grant)>) -> Result<Self, ConfigError> {
        let mut table = Table::new();
        for (number, (hash, grant)) in hashes.into_iter().enumerate() {
            match table.entry(Digest(hash)) {
                Entry::Occupied(_) => {
                    return Err(fault(format!(
                        "expected each token once, found number {} again",
                        number + 1
                    )));
                }
                Entry::Vacant(place) => place.insert(grant),
            };
        }
        if table.is_empty() {
            return Err(fault("expected at least one token, found none"));
        }
        Ok(Self(Arc::new(ArcSwap::from_pointee(table))))
    }

    /// Parses a list of tokens, separated by commas, which all have `grant`: what an environment variable can hold.
    ///
    /// Spaces and line ends around a token are trimmed. If the grant has no label, the tokens have the labels `key
    /// 1`, `key 2` and so on.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the list or one of its entries is empty, an entry is not a token, or one is there
    /// twice.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a grant made for this list alone is given away"
    )]
    pub fn from_list(list: &Secret, grant: Grant) -> Result<Self, ConfigError> {
        let entries = list
            .expose()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .enumerate();
        let mut tokens = Vec::new();
        for (place, entry) in entries {
            let number = place + 1;
            let token = Token::from_secret(entry.into())
                .map_err(|error| fault(format!("entry {number}: {error}")))?;
            let grant = match grant.label() {
                Some(_) => grant.clone(),
                None => grant.clone().with_label(&format!("key {number}")),
            };
            tokens.push((token, grant));
        }
        Self::new(tokens)
    }

    /// Parses a list of tokens with names and scopes, separated by commas: what an environment variable can hold.
    ///
    /// ```text
    /// entry = name [ ":" scope *( "+" scope ) ] "=" token
    /// ```
    ///
    /// The name is the user name of the identity and the label of the grant. Two entries may have the same name. The
    /// token is everything after the first `=`, so a scope cannot hold one. White space around an entry is ignored.
    ///
    /// # Errors
    ///
    /// Names the number of the entry that is malformed or repeats a token, and never shows a part of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{Secret, TokenSet};
    ///
    /// let tokens = TokenSet::from_named_list(&Secret::from("alice=first-token, ci:read+write=second-token"))?;
    /// assert_eq!(tokens.len(), 2);
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn from_named_list(list: &Secret) -> Result<Self, ConfigError> {
        let entries = list.expose().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let entries = entries.zip(1..).map(|(entry, number)| {
            parse_entry(entry).map_err(|error| fault(format!("entry {number}: {error}")))
        });
        Self::new(entries.collect::<Result<Vec<_>, _>>()?)
    }

    /// Replaces the tokens with those of `other`, for all clones of this set at once.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what takes the place of another is given away"
    )]
    pub fn replace(&self, other: Self) {
        self.0.store(other.0.load_full());
    }

    /// Returns the number of tokens, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a set of tokens is never empty")]
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    fn known(&self, hash: TokenHash) -> Option<Verification> {
        let table = self.0.load();
        table
            .get(&Digest(hash))
            .map(|grant| Verification::Valid(grant.clone()))
    }
}

impl TokenVerifier for TokenSet {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let known = (!token.is_oversized())
            .then(|| self.known(token.hash()))
            .flatten();
        MaybeFuture::Ready(known.unwrap_or_else(|| unknown(token)))
    }

    fn verify_hash(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        MaybeFuture::Ready(self.known(hash).unwrap_or(Verification::Unknown))
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Parses `name:scope+scope=token`. An error does not show the entry, which may hold a token
/// anywhere.
fn parse_entry(entry: &[u8]) -> Result<(Token, Grant), String> {
    const SHAPE: &str = "expected name=token or name:scope+scope=token";
    let assign = memchr::memchr(b'=', entry).ok_or_else(|| format!("{SHAPE}, found no `=`"))?;
    let (owner, token) = (&entry[..assign], &entry[assign + 1..]);
    let owner = std::str::from_utf8(owner).map_err(|_| format!("{SHAPE}, found a name that is not UTF-8"))?;
    let (name, scopes) = match owner.split_once(':') {
        Some((name, scopes)) => (name, Some(scopes.split('+'))),
        None => (owner, None),
    };
    if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character.is_control())
    {
        return Err(format!("{SHAPE}, found an empty name or one with white space"));
    }
    let scopes: Vec<&str> = scopes.into_iter().flatten().collect();
    if scopes.iter().any(|scope| Scope::parse(scope).is_none()) {
        return Err(format!("{SHAPE}, found an empty or malformed scope"));
    }
    if token.starts_with(b"=") {
        // The end of a base64 text without a name before it.
        return Err(format!("{SHAPE}, found a token that begins with `=`"));
    }
    let token = Token::from_secret(token.into()).map_err(|error| error.to_string())?;
    Ok((
        token,
        Grant::new(Identity::new(name))
            .with_scopes(scopes)
            .with_label(name),
    ))
}

fn fault(message: impl Into<String>) -> ConfigError {
    ConfigError::new("tokens", message)
}

/// A token's hash as the key of the table, compared in constant time.
///
/// The time of a lookup reveals at most how the hash of a presented token compares with those in the table. No token
/// can be derived from that.
struct Digest(TokenHash);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        secret::constant_time_eq(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{denial::Reason, token::Token};

    fn grant(name: &str) -> Grant {
        Grant::new(Identity::new(name))
    }

    #[track_caller]
    fn known(set: &TokenSet, token: &str) -> Option<Grant> {
        match set.verify(PresentedToken::new(token.as_bytes()).expect("well-formed")) {
            MaybeFuture::Ready(Verification::Valid(grant)) => Some(grant),
            MaybeFuture::Ready(Verification::Unknown) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_token_has_its_own_grant_in_sets_of_any_size() {
        for size in [1, 2, 3, 100, 10_000] {
            let text = |number: usize| format!("token-{number}");
            let set = TokenSet::new(
                (0..size).map(|number| (text(number).parse().expect("a token"), grant(&number.to_string()))),
            )
            .expect("a set");
            assert_eq!(set.len(), size);
            for number in 0..size {
                let grant = known(&set, &text(number)).expect("in the set");
                assert_eq!(grant.identity().username(), number.to_string());
            }
            assert!(known(&set, &text(size)).is_none());
        }
    }

    #[test]
    fn hashes_with_the_same_beginning_are_distinguished() {
        let token: Token = "abc".parse().expect("a token");
        for place in [8, 31] {
            let mut near = *token.hash().as_bytes();
            near[place] ^= 1;
            let set = TokenSet::from_hashes([(near.into(), grant("near"))]).expect("a set");
            assert!(known(&set, "abc").is_none(), "place {place}");
            let both = TokenSet::from_hashes([(near.into(), grant("near")), (token.hash(), grant("abc"))]);
            assert_eq!(
                known(&both.expect("a set"), "abc"),
                Some(grant("abc")),
                "place {place}"
            );
        }
    }

    #[test]
    fn a_replaced_set_acts_on_all_its_clones() {
        let of = |text: &str| TokenSet::new([(text.parse().expect("a token"), grant(text))]).expect("a set");
        let set = of("old");
        let serving = set.clone();
        set.replace(of("new"));
        assert!(known(&serving, "old").is_none());
        assert!(known(&serving, "new").is_some());
    }

    #[test]
    fn only_the_exact_text_of_a_token_is_known() {
        let generated = Token::generate();
        let long = "a".repeat(Token::MAX_LEN);
        let tokens = ["abc", generated.expose(), &long];
        let set = TokenSet::new(tokens.map(|text| (text.parse().expect("a token"), grant(text))));
        let set = set.expect("a set");
        for text in tokens {
            assert_eq!(known(&set, text), Some(grant(text)));
        }
        for text in ["abd", "ab", "ABC", "abca", &long[1..]] {
            assert_eq!(known(&set, text), None, "{text:?}");
        }
        for text in [&generated.expose()[..52], "pcl_"] {
            let found = set.verify(PresentedToken::new(text.as_bytes()).expect("well-formed"));
            assert!(matches!(
                found,
                MaybeFuture::Ready(Verification::Rejected(Reason::TokenChecksumMismatch))
            ));
        }
    }

    #[test]
    fn a_mistyped_token_is_reported_as_such() {
        let set = TokenSet::new([(Token::generate(), grant("a"))]).expect("a set");
        let mistyped = PresentedToken::new(b"pcl_abc").expect("well-formed");
        assert!(matches!(
            set.verify(mistyped),
            MaybeFuture::Ready(Verification::Rejected(Reason::TokenChecksumMismatch))
        ));
    }

    #[track_caller]
    fn refused(list: &str, expected: &str) {
        let error = TokenSet::from_list(&list.into(), grant("a")).expect_err("no list of tokens");
        assert_eq!(error.to_string(), expected, "{list:?}");
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let set = TokenSet::from_list(&" one,two \t,\nthree\n".into(), grant("a")).expect("a list");
        for (token, label) in [("one", "key 1"), ("two", "key 2"), ("three", "key 3")] {
            assert_eq!(known(&set, token).expect("in the list").label(), Some(label));
        }
        let labelled = grant("a").with_label("ci");
        let set = TokenSet::from_list(&"one".into(), labelled.clone()).expect("a list");
        assert_eq!(known(&set, "one"), Some(labelled));

        let nothing = "expected a token of 1 to 512 visible ASCII characters, found nothing";
        refused("", &format!("tokens: entry 1: {nothing}"));
        refused(" ", &format!("tokens: entry 1: {nothing}"));
        refused("one,", &format!("tokens: entry 2: {nothing}"));
        refused("one,,two", &format!("tokens: entry 2: {nothing}"));
        refused(
            "one,two,one",
            "tokens: expected each token once, found number 3 again",
        );
        assert!(TokenSet::from_list(&"one,two three".into(), grant("a")).is_err());
        let none = TokenSet::new([]).expect_err("no token");
        assert_eq!(
            none.to_string(),
            "tokens: expected at least one token, found none"
        );
    }

    #[test]
    fn entries_of_a_list_have_names_and_scopes() {
        // The first `=` ends the scopes: `logs!user` has a kind and no value, and the token is `two`.
        let list = " alice=one,\nci:read+write:logs!user=two ,alice:admin=a=b:c+d\n";
        let set = TokenSet::from_named_list(&list.into()).expect("a list");
        for (token, name, scopes) in [
            ("one", "alice", &[][..]),
            ("two", "ci", &["read", "write:logs!user"]),
            ("a=b:c+d", "alice", &["admin"]),
        ] {
            let grant = known(&set, token).unwrap_or_else(|| panic!("{token} is in the list"));
            assert_eq!((grant.identity().username(), grant.label()), (name, Some(name)));
            assert!(
                grant.scopes().iter().eq(scopes.iter().copied()),
                "{token}: {grant:?}"
            );
        }
    }

    #[test]
    fn an_error_in_a_list_says_the_entry_and_nothing_of_it() {
        let shape = "expected name=token or name:scope+scope=token, found";
        for (list, expected) in [
            ("", format!("entry 1: {shape} no `=`")),
            ("a=one,CANARY", format!("entry 2: {shape} no `=`")),
            ("a=one,", format!("entry 2: {shape} no `=`")),
            (
                "=CANARY",
                format!("entry 1: {shape} an empty name or one with white space"),
            ),
            (
                ":read=CANARY",
                format!("entry 1: {shape} an empty name or one with white space"),
            ),
            (
                "CANARY two=x",
                format!("entry 1: {shape} an empty name or one with white space"),
            ),
            (
                "a:=CANARY",
                format!("entry 1: {shape} an empty or malformed scope"),
            ),
            (
                "a:CANARY+=x",
                format!("entry 1: {shape} an empty or malformed scope"),
            ),
            (
                "a:x y=CANARY",
                format!("entry 1: {shape} an empty or malformed scope"),
            ),
            (
                "CANARY==",
                format!("entry 1: {shape} a token that begins with `=`"),
            ),
            (
                "CANARY=",
                "entry 1: expected a token of 1 to 512 visible ASCII characters, found nothing".into(),
            ),
            (
                "a=CANARY,b=CANARY",
                "expected each token once, found number 2 again".into(),
            ),
        ] {
            let error = TokenSet::from_named_list(&list.into()).expect_err(list);
            assert_eq!(error.to_string(), format!("tokens: {expected}"), "{list:?}");
        }
        let error = TokenSet::from_named_list(&"a=CANARY x".into()).expect_err("a space");
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }

    #[test]
    fn no_debug_output_holds_a_token() {
        let set = TokenSet::from_list(&"canary".into(), grant("a")).expect("a list");
        assert_eq!(format!("{set:?}"), "TokenSet { len: 1, .. }");
    }
}
