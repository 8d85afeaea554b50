//! The page of a denial, for browsers.

use http::StatusCode;

use crate::{
    denial::{Denial, Reason},
    html::{Page, PageStyle},
};

/// The page about a denial. `login` is where a posted form leads to that needs a login, `logout` where the cookies of this
/// server are removed.
pub(crate) fn denial_page<'a>(
    denial: &Denial,
    style: &'a PageStyle,
    login: Option<&str>,
    logout: Option<&str>,
) -> Page<'a> {
    let (title, first, second) = page_text(denial);
    if let Some(login) = login {
        return Page::new(style, title)
            .paragraph("The form was not processed, because it needs a login.")
            .link(login, "Log in");
    }
    let detail = if denial.detail().is_empty() {
        second
    } else {
        denial.detail()
    };
    let page = Page::new(style, title).paragraph(first).muted(detail);
    // The query has another status.
    if denial.status() != StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        return page;
    }
    let page = page.paragraph(
        "Delete the cookies of this site in the settings of your browser, and load the page again. Every server of \
         this host, whatever its port, can set cookies for all of them.",
    );
    match logout {
        Some(logout) => with_cookie_removal(page, logout),
        None => page,
    }
}

/// Adds a button that removes the cookies of this server, which are too large to read.
pub(crate) fn with_cookie_removal<'a>(page: Page<'a>, logout: &str) -> Page<'a> {
    page.paragraph("You can also remove the cookies of this server alone. That logs this browser out here.")
        .form(logout, "Remove the cookies of this server", |fields| {
            fields.hidden(REMOVE_COOKIES, "1")
        })
}

/// The field of the form by which a browser removes cookies that are too large to read.
pub(crate) const REMOVE_COOKIES: &str = "remove_cookies";

/// Title, sentence and advice of a refusal's page.
fn page_text(denial: &Denial) -> (&'static str, &'static str, &'static str) {
    match denial.reason() {
        Reason::MissingCredential | Reason::ExpiredCookie | Reason::InvalidCookie | Reason::ExpiredToken => (
            "You are not logged in",
            "This server is for programs. They send a token in the field `Authorization: Bearer …`.",
            "Whoever runs the server can give you one.",
        ),
        Reason::UnknownToken | Reason::UnsupportedToken | Reason::TokenChecksumMismatch => (
            "This token is not known",
            "The token that came with this request is not one of this server's. It may be from an earlier start, or cut \
             short.",
            "",
        ),
        Reason::IncorrectPassword => ("Not logged in", "The user or the password is wrong.", ""),
        Reason::CrossSite => (
            "Stopped: this request came from another site",
            "Your login here was not used, because another site may have caused this request.",
            "If you meant to come here, open the address yourself.",
        ),
        Reason::DisallowedHost => (
            "This server does not answer under that name",
            "The host name of the address is not one that this server was told to answer for.",
            "Open it under the address that the server printed, or add the name to its list of hosts.",
        ),
        Reason::InsufficientScope => (
            "Not allowed",
            "You are logged in, and your account may not do this.",
            "",
        ),
        Reason::Malformed | Reason::TooLarge => (
            "This request cannot be read",
            "Something in it is broken, repeated or too large.",
            "",
        ),
        Reason::RateLimited => ("Too many attempts", "Please wait before you try again.", ""),
        Reason::Unavailable => (
            "Please try again in a moment",
            "Logins cannot be checked right now. You have not been logged out.",
            "",
        ),
    }
}
