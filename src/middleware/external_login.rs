//! A login that is somebody else's to give: a hub's.

use http::HeaderValue;

use crate::{cookies::SetCookies, middleware::error_response::FullResponse, request::head::RequestHead};

/// Where people log in, if it is not here.
pub(crate) trait ExternalLogin: Send + Sync {
    /// Sends a person to the login, with the cookies that remember where they wanted to go; nothing if nobody
    /// waits for a page.
    fn login_redirect(&self, head: RequestHead<'_>, https: bool) -> Option<FullResponse>;

    /// Where a logout goes on to, once the cookies here are gone.
    fn logout_url(&self) -> HeaderValue;

    /// Adds the line that keeps a good token of the URL for the browser.
    fn persist_token(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies);

    /// Adds the lines that take the cookies of a login away. A login under way is one as well, once somebody
    /// logs out.
    fn remove_cookies(
        &self,
        head: RequestHead<'_>,
        https: bool,
        with_logins_under_way: bool,
        cookies: &mut SetCookies,
    );
}
