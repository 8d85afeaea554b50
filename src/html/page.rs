//! The writer of a page.

use std::fmt::Write as _;

use bytes::Bytes;
use http::HeaderValue;

use super::{
    dates::{iso_date, relative_time, utc_date},
    style::{PageStyle, push_escaped},
};
use crate::clock::UnixTime;

/// A page with a heading, written part by part. All text is escaped where it is written.
///
/// Spans between backticks become `code`.
pub(crate) struct Page<'a> {
    html: String,
    style: &'a PageStyle,
    policy: HeaderValue,
}

/// The id of the paragraph that says what is wrong. Fields that are invalid refer to it.
const ALERT_ID: &str = "alert";

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

    /// What a part of the page is about.
    #[cfg(feature = "hub-server")]
    pub(crate) fn heading(self, text: &str) -> Self {
        self.block("<h2>", text, "</h2>")
    }

    /// One thing of a list: its name, what is known of it, and a button with the fields that it posts.
    pub(crate) fn item(
        mut self,
        name: &str,
        details: &Details,
        button: Option<Button<'_>>,
        fill: impl FnOnce(&mut FormFields<'_>),
    ) -> Self {
        self.html.push_str("<section class=\"item\"><div>");
        self = self.user_text("<p>", name, "</p>");
        if !details.0.is_empty() {
            let _ = write!(self.html, "<p class=\"soft\">{}</p>", details.0);
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
            fill(&mut FormFields(&mut self.html, self.style));
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
        fill(&mut FormFields(&mut self.html, self.style));
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

/// Shows the button, because scripts run, and copies the text beside it.
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

/// What is known of a thing: parts in one line.
#[derive(Default)]
pub(crate) struct Details(String);

impl Details {
    /// Adds a part, or nothing if there is no text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.separate();
            push_escaped(&mut self.0, text);
        }
        self
    }

    /// Adds a time as it is seen `now`: "5 minutes ago" for `{}` in `label`. Programs and those who point at it see the
    /// date.
    pub(crate) fn time(mut self, style: &PageStyle, label: &str, time: UnixTime, now: UnixTime) -> Self {
        self.separate();
        let label = style.text(label);
        let (before, after) = label.split_once("{}").unwrap_or((label, ""));
        push_escaped(&mut self.0, before);
        let (date, text) = (utc_date(time), relative_time(style, time, now));
        let _ = write!(self.0, "<time datetime=\"{}\" title=\"{date}\">", iso_date(time));
        push_escaped(&mut self.0, &text);
        self.0.push_str("</time>");
        push_escaped(&mut self.0, after);
        self
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push_str(" \u{b7} ");
        }
    }
}

/// The fields of a form.
pub(crate) struct FormFields<'a>(&'a mut String, &'a PageStyle);

/// What a field of a form is for: its kind, and what a password manager puts into it.
#[derive(Clone, Copy)]
pub(crate) enum FieldKind {
    /// Anything; it may be left empty.
    #[cfg(feature = "hub-server")]
    Optional,
    NewPassword,
    Password,
    Username,
}

/// A labelled field.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    kind: FieldKind,
    name: &'a str,
    label: &'a str,
    value: &'a str,
    is_first: bool,
    error: FieldError<'a>,
}

/// What is wrong with the value of a field.
#[derive(Clone, Copy)]
pub(crate) enum FieldError<'a> {
    None,
    /// The page's alert says it.
    InAlert,
    /// The field says it itself.
    #[cfg_attr(not(feature = "hub-server"), allow(dead_code))]
    Text(&'a str),
}

impl<'a> Field<'a> {
    /// Names are letters and `_`.
    pub(crate) fn new(kind: FieldKind, name: &'a str, label: &'a str) -> Self {
        Self {
            kind,
            name,
            label,
            value: "",
            is_first: false,
            error: FieldError::None,
        }
    }

    /// The field in which typing begins, if `is_first`.
    pub(crate) fn first(self, is_first: bool) -> Self {
        Self { is_first, ..self }
    }

    /// The field is filled in already.
    pub(crate) fn filled(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn with_error(self, error: FieldError<'a>) -> Self {
        Self { error, ..self }
    }
}

impl FormFields<'_> {
    pub(crate) fn hidden(&mut self, name: &str, value: &str) {
        self.0.push_str("<input type=\"hidden\" name=\"");
        push_escaped(self.0, name);
        self.0.push_str("\" value=\"");
        push_escaped(self.0, value);
        self.0.push_str("\">");
    }

    /// A labelled choice of one value among several, of which `selected` is chosen at first.
    #[cfg(feature = "hub-server")]
    pub(crate) fn choice(&mut self, name: &str, label: &str, values: &[(&str, &str)], selected: &str) {
        let id = format!("{name}-{}", self.0.len());
        let _ = write!(self.0, "<label for=\"{id}\">");
        push_escaped(self.0, self.1.text(label));
        let _ = write!(self.0, "</label><select id=\"{id}\" name=\"{name}\">");
        for (value, text) in values {
            self.0.push_str("<option value=\"");
            push_escaped(self.0, value);
            self.0
                .push_str(if *value == selected { "\" selected>" } else { "\">" });
            push_escaped(self.0, self.1.text(text));
            self.0.push_str("</option>");
        }
        self.0.push_str("</select>");
    }

    /// A labelled checkbox, whose value is `on` if it is ticked.
    pub(crate) fn checkbox(&mut self, name: &str, label: &str, ticked: bool) {
        let ticked = if ticked { " checked" } else { "" };
        let _ = write!(
            self.0,
            "<label class=\"check\"><input type=\"checkbox\" name=\"{name}\"{ticked}> "
        );
        push_escaped(self.0, self.1.text(label));
        self.0.push_str("</label>");
    }

    /// A labelled field.
    pub(crate) fn field(&mut self, field: Field<'_>) {
        let (input, autocomplete, required) = match field.kind {
            #[cfg(feature = "hub-server")]
            FieldKind::Optional => ("text", "off", ""),
            FieldKind::NewPassword => ("password", "new-password", " required"),
            FieldKind::Password => ("password", "current-password", " required"),
            FieldKind::Username => ("text", "username", " required"),
        };
        let name = field.name;
        let id = format!("{name}-{}", self.0.len());
        let _ = write!(self.0, "<label for=\"{id}\">");
        push_escaped(self.0, self.1.text(field.label));
        let _ = write!(
            self.0,
            "</label><input id=\"{id}\" type=\"{input}\" name=\"{name}\" autocomplete=\"{autocomplete}\" \
             autocapitalize=\"none\" spellcheck=\"false\"{required}"
        );
        let described_by = match field.error {
            FieldError::None => None,
            FieldError::InAlert => Some(ALERT_ID.to_owned()),
            FieldError::Text(_) => Some(format!("{id}-error")),
        };
        if let Some(described_by) = &described_by {
            let _ = write!(
                self.0,
                " aria-invalid=\"true\" aria-describedby=\"{described_by}\""
            );
        }
        if !field.value.is_empty() {
            self.0.push_str(" value=\"");
            push_escaped(self.0, field.value);
            self.0.push('"');
        }
        self.0.push_str(if field.is_first { " autofocus>" } else { ">" });
        if let FieldError::Text(text) = field.error {
            let _ = write!(self.0, "<p class=\"error\" id=\"{id}-error\">");
            push_escaped(self.0, self.1.text(text));
            self.0.push_str("</p>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
