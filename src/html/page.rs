//! The writer of a page.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::{
    details::Details,
    form_fields::{ALERT_ID, FormFields},
    style::{PageStyle, push_escaped},
};

/// A page with a heading, written part by part. All text is escaped where it is written.
///
/// Spans between backticks become `code`.
pub(crate) struct Page<'a> {
    html: String,
    style: &'a PageStyle,
    policy: HeaderValue,
}

impl<'a> Page<'a> {
    pub(crate) fn new(style: &'a PageStyle, title: &str) -> Self {
        Self::of_class(style, title, "")
    }

    /// A wide page, for lists.
    pub(crate) fn wide(style: &'a PageStyle, title: &str) -> Self {
        Self::of_class(style, title, " class=\"wide\"")
    }

    fn of_class(style: &'a PageStyle, title: &str, class: &str) -> Self {
        let (title, mut html) = (style.text(title), String::new());
        style.push_head(&mut html, title, class);
        html.push_str("<h1>");
        push_escaped(&mut html, title);
        html.push_str("</h1>");
        let policy = style.content_security_policy().clone();
        Self { html, style, policy }
    }

    /// A paragraph, or nothing if there is no text.
    pub(crate) fn paragraph(self, text: &str) -> Self {
        self.block("<p>", text, "</p>")
    }

    /// A paragraph of lesser weight.
    pub(crate) fn muted(self, text: &str) -> Self {
        self.block("<p class=\"soft\">", text, "</p>")
    }

    /// What went wrong. Screen readers say it at once, and the title begins with it.
    pub(crate) fn alert(self, text: &str) -> Self {
        let open = format!("<p class=\"alert\" role=\"alert\" id=\"{ALERT_ID}\">");
        self.error_title(text).block(&open, text, "</p>")
    }

    /// The title of a page about an error, if there is one. The page says which.
    pub(crate) fn error_title(mut self, error: &str) -> Self {
        const TITLE: &str = "<title>";
        if let Some(place) = self.html.find(TITLE).filter(|_| !error.is_empty()) {
            let mut prefix = String::new();
            push_escaped(&mut prefix, self.style.text("Error:"));
            self.html.insert_str(place + TITLE.len(), &(prefix + " "));
        }
        self
    }

    /// What was done. Screen readers say it when they have finished what they say.
    pub(crate) fn status(self, text: &str) -> Self {
        self.block("<p class=\"status\" role=\"status\">", text, "</p>")
    }

    /// What happened before, on a page with `status`: an alert, or with 200 a status.
    pub(crate) fn message(self, status: StatusCode, text: &str) -> Self {
        match status {
            StatusCode::OK => self.status(text),
            _ => self.alert(text),
        }
    }

    /// What a part of the page is about.
    #[cfg(feature = "hub-server")]
    pub(crate) fn heading(self, text: &str) -> Self {
        self.block("<h2>", text, "</h2>")
    }

    /// One thing of a list: its name, the facts about it, and a button with the fields that it posts.
    pub(crate) fn item(
        mut self,
        name: &str,
        details: &Details,
        button: Option<Button<'_>>,
        fill: impl FnOnce(&mut FormFields<'_>),
    ) -> Self {
        self.html.push_str("<section class=\"item\"><div>");
        self = self.user_text("<p>", name, "</p>");
        if !details.as_html().is_empty() {
            let _ = write!(self.html, "<p class=\"soft\">{}</p>", details.as_html());
        }
        self.html.push_str("</div>");
        if let Some(button) = button {
            self = self.button(&button, name, fill);
        }
        self.html.push_str("</section>");
        self
    }

    /// A button that is not the one that most users want.
    pub(crate) fn secondary(self, button: &Button<'_>, fill: impl FnOnce(&mut FormFields<'_>)) -> Self {
        self.button(button, "", fill)
    }

    /// A form of one button. A question opens it, without a script, if the button has one. Screen readers hear what it is
    /// `about`.
    fn button(mut self, button: &Button<'_>, about: &str, fill: impl FnOnce(&mut FormFields<'_>)) -> Self {
        let label = |html: &mut String| {
            push_escaped(html, self.style.text(button.label));
            if !about.is_empty() {
                html.push_str("<span class=\"unseen\"> ");
                push_escaped(html, about);
                html.push_str("</span>");
            }
        };
        if button.question.is_empty() {
            self.open_form(button.action);
            fill(&mut FormFields::new(&mut self.html, self.style));
            self.html.push_str("<button type=\"submit\" class=\"plain\">");
            label(&mut self.html);
            self.html.push_str("</button></form>");
            return self;
        }
        // Of those with one name, browsers open one at a time.
        self.html.push_str("<details name=\"question\"><summary>");
        label(&mut self.html);
        self.html.push_str("</summary>");
        self.paragraph(button.question)
            .form_of_class(" class=\"plain\"", button.action, button.label, fill)
            .raw("</details>")
    }

    /// A form that posts to `action`, or to the page's own URL if that is empty, with what `fill` puts into it and a button.
    pub(crate) fn form(self, action: &str, button: &str, fill: impl FnOnce(&mut FormFields<'_>)) -> Self {
        self.form_of_class("", action, button, fill)
    }

    fn form_of_class(
        mut self,
        class: &str,
        action: &str,
        button: &str,
        fill: impl FnOnce(&mut FormFields<'_>),
    ) -> Self {
        self.open_form(action);
        fill(&mut FormFields::new(&mut self.html, self.style));
        let _ = write!(self.html, "<button type=\"submit\"{class}>");
        push_escaped(&mut self.html, self.style.text(button));
        self.raw("</button></form>")
    }

    fn open_form(&mut self, action: &str) {
        self.html.push_str("<form method=\"post\"");
        if !action.is_empty() {
            self.html.push_str(" action=\"");
            push_escaped(&mut self.html, action);
            self.html.push('"');
        }
        self.html.push('>');
    }

    /// A value to be copied: one click selects it, and where scripts run there is a button that copies it.
    #[cfg(feature = "hub-server")]
    pub(crate) fn secret(mut self, value: &str) -> Self {
        self.html.push_str("<p><code class=\"secret\" id=\"secret\">");
        push_escaped(&mut self.html, value);
        self.html
            .push_str("</code></p><button type=\"button\" class=\"plain\" id=\"copy\" hidden data-done=\"");
        push_escaped(&mut self.html, self.style.text("Copied"));
        self.html.push_str("\">");
        push_escaped(&mut self.html, self.style.text("Copy"));
        let _ = write!(self.html, "</button><script>{COPY_SCRIPT}</script>");
        self.policy = self.style.content_security_policy_with_script(COPY_SCRIPT);
        self
    }

    /// A link that looks like a button, with a text that is translated already.
    pub(crate) fn link_button(mut self, target: &str, text: &str) -> Self {
        self.html.push_str("<p><a class=\"button\" href=\"");
        push_escaped(&mut self.html, target);
        self.html.push_str("\">");
        push_escaped(&mut self.html, text);
        self.html.push_str("</a></p>");
        self
    }

    /// A link on a line of its own.
    pub(crate) fn link(mut self, target: &str, text: &str) -> Self {
        self.html.push_str("<p><a href=\"");
        push_escaped(&mut self.html, target);
        self.html.push_str("\">");
        push_escaped(&mut self.html, self.style.text(text));
        self.raw("</a></p>")
    }

    /// What a page may load and do.
    pub(crate) fn content_security_policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    pub(crate) fn finish(mut self) -> Bytes {
        self.style.push_end(&mut self.html);
        self.html.into()
    }

    fn raw(mut self, html: &str) -> Self {
        self.html.push_str(html);
        self
    }

    fn block(self, open: &str, text: &str, close: &str) -> Self {
        let text = self.style.text(text);
        self.user_text(open, text, close)
    }

    /// Text that is never translated.
    fn user_text(mut self, open: &str, text: &str, close: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.html.push_str(open);
        for (place, span) in text.split('`').enumerate() {
            let is_code = place % 2 == 1;
            self.html.push_str(if is_code { "<code>" } else { "" });
            push_escaped(&mut self.html, span);
            self.html.push_str(if is_code { "</code>" } else { "" });
        }
        self.raw(close)
    }
}

/// Shows the button, because scripts run, and copies the text next to it.
#[cfg(feature = "hub-server")]
const COPY_SCRIPT: &str = "{const b=document.getElementById(\"copy\");if(navigator.clipboard){b.hidden=false;\
    b.onclick=async()=>{await navigator.clipboard.writeText(document.getElementById(\"secret\").textContent);\
    b.textContent=b.dataset.done}}}";

/// A button that does something at once, or after a question.
pub(crate) struct Button<'a> {
    /// The URL that it posts to.
    pub(crate) action: &'a str,
    pub(crate) label: &'a str,
    /// What will happen, which is shown before the button is. Empty if the button acts at once.
    pub(crate) question: &'a str,
}

#[cfg(test)]
mod tests {
    use super::{
        super::form_fields::{Field, FieldKind},
        *,
    };

    #[test]
    fn all_text_is_escaped_and_backticks_make_code() {
        let html = Page::new(&PageStyle::default(), "a <b>")
            .paragraph("x & \"y\"")
            .muted("see `<i>` there")
            .alert("")
            .finish();
        let html = std::str::from_utf8(&html).expect("text");
        assert!(html.contains("<h1>a &lt;b&gt;</h1><p>x &amp; &quot;y&quot;</p>"));
        assert!(html.contains("<p class=\"soft\">see <code>&lt;i&gt;</code> there</p></main>"));
    }

    #[test]
    fn a_form_posts_and_names_its_fields_for_people_and_password_managers() {
        let style = PageStyle::default();
        let html = Page::new(&style, "Log in").form("/login?next=\"", "Log in", |fields| {
            fields.hidden("_xsrf", "x\"1");
            fields.field(Field::new(FieldKind::Password, "password", "Password").first(true));
        });
        let html = String::from_utf8(html.finish().to_vec()).expect("text");
        for part in [
            "<form method=\"post\" action=\"/login?next=&quot;\">",
            "<input type=\"hidden\" name=\"_xsrf\" value=\"x&quot;1\">",
            "type=\"password\" name=\"password\" autocomplete=\"current-password\"",
            "required autofocus>",
            "<button type=\"submit\">Log in</button></form>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
