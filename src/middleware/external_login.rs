//! A login at another server, such as a hub.

use http::HeaderValue;

use crate::{cookies::SetCookies, middleware::error_response::FullResponse, request::head::RequestHead};

/// The login at another server.
pub(crate) trait ExternalLogin: Send + Sync {
    /// Redirects a browser to the login, with the cookies that remember the page it requested; `None` if the request is
    /// not for a page.
    fn login_redirect(&self, head: RequestHead<'_>, https: bool) -> Option<FullResponse>;

    /// Where a logout goes on to, once the cookies here are gone.
    fn logout_url(&self) -> HeaderValue;

    /// Adds the line that keeps a good token of the URL for the browser.
    fn persist_token(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies);

    /// Adds the lines that remove the cookies of a login. At a logout, that includes a login in progress.
    fn remove_cookies(
        &self,
        head: RequestHead<'_>,
        https: bool,
        with_pending_logins: bool,
        cookies: &mut SetCookies,
    );
}
