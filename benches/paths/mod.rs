//! Every path of a request through the gate, and what it may cost.

mod stand_in;

use http::StatusCode;

use self::stand_in::TokenGate;
use super::case::{Case, Inner, Rows, Sent, layer, service, wanted, wanted_pair};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// The table. `pair` is a row without guards and a row with them; budgets are in that order.
pub(crate) fn all() -> Vec<Case> {
    let rows: Vec<Rows> = vec![
        service("bare/token", || (Inner, get().bearer(TOKEN))),
        layer("token/header/stand-in", || {
            (TokenGate::new(TOKEN), get().bearer(TOKEN))
        })
        .allocating(0),
        layer("token/header/stand-in-refused", || {
            (TokenGate::new(TOKEN), get().bearer("wrong"))
        })
        .answering(StatusCode::UNAUTHORIZED)
        .within([280])
        .allocating(0),
        wanted_pair("token/header/pass").within([450, 600]).allocating(0),
        wanted("token/header/session")
            .over("token/header/pass")
            .within([700])
            .allocating(3),
        wanted_pair("token/header/refused").within([2_000, 2_100]),
        wanted_pair("token/set-of-1/pass")
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        wanted_pair("token/set-of-100/pass")
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        wanted_pair("token/set-of-10000/pass")
            .within([1_000, 1_200])
            .hashing(1)
            .allocating(0),
        wanted_pair("cookie/signed-80/pass")
            .within([3_000, 3_600])
            .hashing(4)
            .allocating(0),
        wanted_pair("cookie/signed-171/pass")
            .within([3_500, 4_100])
            .hashing(6)
            .allocating(0),
        wanted_pair("cookie/signed-80/forged")
            .within([1_950, 2_300])
            .hashing(4),
        wanted_pair("cookie/signed-80/absent").within([550, 900]),
        wanted("cookie/signed-80/among-20")
            .over("cookie/signed-80/pass")
            .within([500])
            .allocating(0),
        wanted_pair("cookie/encrypted-80/pass")
            .within([3_600, 4_100])
            .allocating(0),
    ];
    rows.into_iter().flatten().collect()
}

fn get() -> Sent {
    Sent::get("/api/contents")
}
