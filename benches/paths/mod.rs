//! Every path of a request through the gate, and what it may cost.

mod cookies;
mod hub;
mod tokens;

use http::StatusCode;

use self::cookies::Form::{Encrypted, Signed};
use super::case::{Case, Rows, Sent, layer, pair};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The table. `pair` is a row without guards and a row with them; budgets are in that order.
pub(crate) fn all() -> Vec<Case> {
    let rows: Vec<Rows> = vec![
        pair("token/header/pass", tokens::shared)
            .within([450, 600])
            .allocating(0),
        layer("token/header/session", || tokens::with_session(true))
            .over("token/header/pass+guards")
            .within([700])
            .allocating(3),
        pair("token/header/refused", tokens::refused)
            .answering(StatusCode::UNAUTHORIZED)
            .within([2_000, 2_100])
            .allocating(6),
        layer("token/header/refusal-copied", tokens::refusal_copied)
            .answering(StatusCode::UNAUTHORIZED)
            .allocating(5),
        pair("token/set-of-1/pass", |guards| tokens::set(1, guards))
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        pair("token/set-of-100/pass", |guards| tokens::set(100, guards))
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        pair("token/set-of-10000/pass", |guards| tokens::set(10_000, guards))
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        pair("cookie/signed-80/pass", |guards| {
            cookies::opening(Signed, 80, 3, guards)
        })
        .within([3_000, 3_500])
        .hashing(4)
        .allocating(0),
        pair("cookie/signed-171/pass", |guards| {
            cookies::opening(Signed, 171, 3, guards)
        })
        .within([3_600, 4_100])
        .hashing(6)
        .allocating(0),
        pair("cookie/signed-80/forged", cookies::forged)
            .answering(StatusCode::UNAUTHORIZED)
            .hashing(4),
        pair("cookie/signed-80/forged-optional", cookies::forged_optional)
            .within([1_950, 2_300])
            .hashing(4),
        pair("cookie/signed-80/absent", cookies::absent)
            .within([550, 900])
            .allocating(0),
        layer("cookie/signed-80/among-20", || {
            cookies::opening(Signed, 80, 20, false)
        })
        .over("cookie/signed-80/pass")
        .within([500])
        .allocating(0),
        pair("cookie/encrypted-80/pass", |guards| {
            cookies::opening(Encrypted, 80, 3, guards)
        })
        .within([3_600, 4_100])
        .allocating(0),
        layer("cookie/identity/pass+guards", cookies::logged_in)
            .hashing(6)
            .allocating(1),
        layer("hub/token/cached+guards", || hub::token(true))
            .within([1_350])
            .hashing(1)
            .allocating(0),
        layer("hub/cookie/cached+guards", || hub::cookie(true))
            .within([5_000])
            .hashing(5)
            .allocating(0),
    ];
    rows.into_iter().flatten().collect()
}

fn get() -> Sent {
    Sent::get("/api/contents")
}
