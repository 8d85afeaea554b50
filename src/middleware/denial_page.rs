//! The page of a denial, for browsers.

use http::StatusCode;

use crate::{
    denial::{Denial, Reason},
    html::{Page, PageStyle},
};

/// The links of the page.
pub(crate) struct Links<'a> {
    /// The base of the server.
    pub(crate) home: &'a str,
    /// The login, if a posted form needs it.
    pub(crate) login: Option<&'a str>,
    /// Where this browser logs out and the cookies of this server are removed.
    pub(crate) logout: Option<&'a str>,
}

/// The page about a denial.
pub(crate) fn denial_page<'a>(denial: &Denial, style: &'a PageStyle, links: &Links<'_>) -> Page<'a> {
    let (title, first, advice) = page_text(denial);
    if let Some(login) = links.login {
        return Page::new(style, title)
            .paragraph("The form was not processed, because you are not logged in.")
            .link(login, "Log in");
    }
    let mut page = Page::new(style, title).paragraph(first);
    if denial.reason() == Reason::RateLimited {
        page = page.paragraph(&wait_text(denial, style));
    }
    page = page.muted(advice).muted(denial.detail());
    // The query has another status.
    if denial.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        page = page.paragraph(
            "Delete the cookies of this site in the settings of your browser, and load the page again. Every server of \
             this host, whatever its port, can set cookies for all of them.",
        );
        return match links.logout {
            Some(logout) => with_cookie_removal(page, logout),
            None => page,
        };
    }
    match (denial.reason(), links.logout) {
        // The server answers nothing on this host, or nothing without a token.
        (
            Reason::DisallowedHost
            | Reason::MissingCredential
            | Reason::InvalidCookie
            | Reason::ExpiredToken
            | Reason::UnknownToken
            | Reason::UnsupportedToken
            | Reason::TokenChecksumMismatch,
            _,
        ) => return page,
        (Reason::IncorrectPassword | Reason::RateLimited | Reason::Unavailable, _) => {
            page = page.link("", "Try again");
        }
        (Reason::InsufficientScope, Some(logout)) => page = page.link(logout, "Use another account"),
        _ => {}
    }
    page.link(links.home, "Go to home")
}

/// When to try again. At least "2 seconds", so that the unit is a plural.
pub(super) fn wait_text(denial: &Denial, style: &PageStyle) -> String {
    let Some(after) = denial.retry_after() else {
        return style.text("Please try again later.").to_owned();
    };
    let (text, number) = match after.as_secs() {
        seconds @ 0..120 => ("Try again in {} seconds.", seconds.max(2)),
        seconds @ 120..7_200 => ("Try again in {} minutes.", seconds.div_ceil(60)),
        seconds => ("Try again in {} hours.", seconds.div_ceil(3_600)),
    };
    style.text_with_number(text, number)
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
        Reason::ExpiredCookie => ("Your session ended", "Log in again to continue.", ""),
        Reason::MissingCredential | Reason::InvalidCookie | Reason::ExpiredToken => (
            "Authentication required",
            "This server has no login page. Send an access token in the `Authorization: Bearer …` header.",
            "Ask the server's administrator for a token.",
        ),
        Reason::UnknownToken | Reason::UnsupportedToken | Reason::TokenChecksumMismatch => (
            "Invalid token",
            "The token is not valid for this server. It may be incomplete, or from before the server was restarted.",
            "Copy the whole token again, or ask the server's administrator for a token.",
        ),
        Reason::IncorrectPassword => ("Login failed", "Incorrect username or password.", ""),
        Reason::CrossSite => (
            "Request blocked",
            "This request appears to come from another site, so it was blocked to protect your account.",
            "To continue, enter the address in your browser.",
        ),
        Reason::DisallowedHost => (
            "Unknown host",
            "This server is not configured for the host name in the address.",
            "Use the address printed by the server. To accept this host name, add it to the server's `allowed_hosts`.",
        ),
        Reason::InsufficientScope => (
            "Access denied",
            "Your account does not have permission to do this.",
            "",
        ),
        Reason::Malformed | Reason::TooLarge => (
            "Bad request",
            "The request is malformed, contains a duplicate header or is too large.",
            "",
        ),
        Reason::RateLimited => ("Too many attempts", "", ""),
        Reason::Unavailable => (
            "Service temporarily unavailable",
            "Your login could not be verified. You are still logged in.",
            "Please try again in a moment.",
        ),
    }
}
