//! A login that is somebody else's to give: a hub's.

use http::HeaderValue;

use crate::{cookie::SetCookies, gate::responses::OwnResponse, head::Head};

/// Where people log in, if it is not here.
pub(crate) trait Elsewhere: Send + Sync {
    /// Sends a person to the login, with the cookies that remember where they wanted to go; nothing if nobody
    /// waits for a page.
    fn login(&self, head: Head<'_>, https: bool) -> Option<OwnResponse>;

    /// Where a logout goes on to, once the cookies here are gone.
    fn logout(&self) -> HeaderValue;

    /// Adds the line that keeps a good token of the URL for the browser.
    fn keep_token(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies);

    /// Adds the lines that take the cookies of a login away. A login under way is one as well, once somebody
    /// logs out.
    fn remove(&self, head: Head<'_>, https: bool, with_logins_under_way: bool, cookies: &mut SetCookies);
}
