//! How the pages look, and in which language.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::texts::TEXTS;
use crate::error::ConfigError;

/// The one style sheet: readable on a phone, in the dark, and without any of it.
const STYLE: &str = include_str!("../page.css");

/// A padlock. Without it browsers request `/favicon.ico` before the login.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
                    fill='none' stroke='%232350c4' stroke-width='2' d='M5 7V5a3 3 0 0 1 6 0v2'/%3E%3Crect x='3' y='7' \
                    width='10' height='7' rx='1.5' fill='%232350c4'/%3E%3C/svg%3E";

/// The look of the pages that the layer serves: name of the application, logo, colour of the buttons, footer, and texts.
///
/// The default has no name, and texts in English. All texts are escaped, so none can hold HTML.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthLayer, Token, middleware::PageStyle};
///
/// let style = PageStyle::new("Field notes")
///     .with_logo("/static/logo.svg")?
///     .with_accent("#0a7d4f")?
///     .with_footer("Example Institute")
///     .with_texts("de", [("Log in", "Anmelden"), ("Password", "Passwort")])?;
/// let auth = AuthLayer::builder().token(Token::generate()).page_style(style).build()?;
/// let auth = auth.public_paths(["/static/logo.svg"]);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PageStyle(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    name: Box<str>,
    logo: Box<str>,
    footer: Box<str>,
    language: Box<str>,
    /// The translations, by the English text.
    texts: HashMap<&'static str, Box<str>>,
    sheet: String,
    /// Where else a form may lead to, each after a space.
    form_targets: String,
    policy: HeaderValue,
}

static PLAIN: LazyLock<PageStyle> = LazyLock::new(|| {
    let policy = HeaderValue::from_static("");
    let plain = Inner {
        name: "".into(),
        logo: "".into(),
        footer: "".into(),
        language: "en".into(),
        texts: HashMap::new(),
        sheet: STYLE.to_owned(),
        form_targets: String::new(),
        policy,
    };
    PageStyle(Arc::new(plain.with_policy()))
});

impl PageStyle {
    /// The longest logo, in bytes of its URL.
    pub const MAX_LOGO_LEN: usize = 64 * 1024;

    /// A style with the name of the application, which stands above each page and in its title.
    pub fn new(name: &str) -> Self {
        Self::default().with(|style| style.name = name.into())
    }

    /// Default: none. Shows a logo above each page: a path of this site, or a `data:` URL of an image.
    ///
    /// The image of a path has to be public, by
    /// [`public_paths`](crate::AuthLayer::public_paths) or outside of the layer, because it is shown before the login.
    ///
    /// # Errors
    ///
    /// If `url` is neither a path that begins with one `/` nor a `data:image/` URL, if it has characters other than
    /// visible ASCII without quotes, `<`, `>` and `\`, or if it is longer than [`MAX_LOGO_LEN`](Self::MAX_LOGO_LEN).
    pub fn with_logo(self, url: &str) -> Result<Self, ConfigError> {
        let is_path = url.starts_with('/') && !url.starts_with("//");
        let is_written_plainly = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\".contains(&byte);
        if !(is_path || url.starts_with("data:image/"))
            || !url.bytes().all(is_written_plainly)
            || url.len() > Self::MAX_LOGO_LEN
        {
            return Err(ConfigError::new(
                "logo",
                format!(
                    "expected a path such as /static/logo.svg or a data:image/ URL of at most {} bytes of visible ASCII",
                    Self::MAX_LOGO_LEN
                ),
            ));
        }
        Ok(self.with(|style| style.logo = url.into()))
    }

    /// Default: blue. The colour of the buttons, as `#rgb` or `#rrggbb`. Their text is black or white, whichever is easier
    /// to read on it.
    ///
    /// # Errors
    ///
    /// If `color` has another form.
    pub fn with_accent(self, color: &str) -> Result<Self, ConfigError> {
        let digits = color.strip_prefix('#').unwrap_or_default();
        let value = u32::from_str_radix(digits, 16).ok();
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let channels = match (digits.len(), value.filter(|_| is_hex)) {
            (3, Some(value)) => [value >> 8, value >> 4 & 0xf, value & 0xf].map(|digit| digit * 0x11),
            (6, Some(value)) => [value >> 16, value >> 8 & 0xff, value & 0xff],
            _ => {
                return Err(ConfigError::new(
                    "accent",
                    format!("expected a colour such as #2350c4, found {color:?}"),
                ));
            }
        };
        let text = if is_light(channels) { "#000" } else { "#fff" };
        let rule = format!(
            "button, input {{ accent-color: {color}; }}\nbutton {{ background: {color}; color: {text}; }}\n"
        );
        Ok(self.with(|style| style.sheet = format!("{STYLE}{rule}")))
    }

    /// Default: none. A line below each page.
    #[must_use]
    pub fn with_footer(self, text: &str) -> Self {
        self.with(|style| style.footer = text.into())
    }

    /// Default: English. Translates texts of the pages into `language`, a tag such as `de` or `pt-BR`: each text with what
    /// stands in its place. `{}` in a text stands for a number or a name. Text that is left out, or that holds a name, stays as it is.
    ///
    /// [`texts`](Self::texts) lists what can be translated.
    ///
    /// # Errors
    ///
    /// If `language` is no language tag, or a text is not one of [`texts`](Self::texts).
    pub fn with_texts<'a>(
        self,
        language: &str,
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(2..=35).contains(&language.len()) || !language.bytes().all(is_tag) {
            return Err(ConfigError::new(
                "texts",
                format!("expected a language tag such as de, found {language:?}"),
            ));
        }
        let mut table = self.0.texts.clone();
        for (text, translation) in texts {
            let known = TEXTS.iter().find(|known| **known == text).ok_or_else(|| {
                ConfigError::new(
                    "texts",
                    format!("expected a text of PageStyle::texts(), found {text:?}"),
                )
            })?;
            table.insert(known, translation.into());
        }
        Ok(self.with(|style| {
            style.language = language.into();
            style.texts = table;
        }))
    }

    /// The English texts of the pages that [`with_texts`](Self::with_texts) translates.
    pub fn texts() -> impl Iterator<Item = &'static str> {
        TEXTS.iter().copied()
    }

    /// The same style for pages whose forms may be answered by a redirect to these origins or schemes. Browsers hold each
    /// redirect after a form against the policy of its page.
    pub(crate) fn with_form_targets<T: fmt::Display>(self, targets: impl IntoIterator<Item = T>) -> Self {
        let targets = targets.into_iter().map(|target| format!(" {target}")).collect();
        self.with(|style| style.form_targets = targets)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut style = Arc::unwrap_or_clone(std::mem::replace(&mut self.0, Arc::clone(&PLAIN.0)));
        change(&mut style);
        Self(Arc::new(style.with_policy()))
    }

    /// The translation of `text`, or `text`.
    pub(crate) fn text<'a>(&'a self, text: &'a str) -> &'a str {
        self.0.texts.get(text).map_or(text, |translation| translation)
    }

    /// The translation of `text`, with `name` instead of `{}`.
    pub(crate) fn text_with_name(&self, text: &str, name: &str) -> String {
        self.text(text).replace("{}", name)
    }

    /// The translation of `text`, with `number` instead of `{}`.
    pub(crate) fn text_with_number(&self, text: &str, number: u64) -> String {
        self.text_with_name(text, &number.to_string())
    }

    /// The start of a document, up to its heading.
    pub(super) fn push_head(&self, html: &mut String, title: &str, class: &str) {
        let Inner {
            name, logo, sheet, ..
        } = &*self.0;
        html.reserve(sheet.len() + logo.len() + 2048);
        html.push_str("<!doctype html><html lang=\"");
        html.push_str(&self.0.language);
        html.push_str("\"><head><meta charset=\"utf-8\">");
        // The header says `no-referrer`, for the links; a form sent under that has `Origin: null`, which is refused
        // if the browser sends no `Sec-Fetch-Site`. This sends the origin, and the query as little.
        html.push_str("<meta name=\"referrer\" content=\"strict-origin\">");
        html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
        push_escaped(html, title);
        if !name.is_empty() {
            html.push_str(" \u{b7} ");
            push_escaped(html, name);
        }
        html.push_str("</title><link rel=\"icon\" href=\"");
        html.push_str(ICON);
        html.push_str("\"><style>");
        html.push_str(sheet);
        html.push_str("</style></head><body><main");
        html.push_str(class);
        html.push('>');
        if !(name.is_empty() && logo.is_empty()) {
            html.push_str("<header>");
            if !logo.is_empty() {
                html.push_str("<img alt=\"\" src=\"");
                push_escaped(html, logo);
                html.push_str("\">");
            }
            push_escaped(html, name);
            html.push_str("</header>");
        }
    }

    /// The end of a document.
    pub(super) fn push_end(&self, html: &mut String) {
        if !self.0.footer.is_empty() {
            html.push_str("<footer class=\"soft\">");
            push_escaped(html, &self.0.footer);
            html.push_str("</footer>");
        }
        html.push_str("</main></body></html>\n");
    }

    /// What a page may load and do: nothing but its own style sheet, icon and logo, and send its form here and to the form
    /// targets.
    pub(crate) fn content_security_policy(&self) -> &HeaderValue {
        &self.0.policy
    }

    /// The same for a page with one script of its own.
    #[cfg(feature = "hub-server")]
    pub(crate) fn content_security_policy_with_script(&self, script: &str) -> HeaderValue {
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        let policy = [
            self.0.policy.as_bytes(),
            b"; script-src 'sha256-",
            hash.as_bytes(),
            b"'",
        ]
        .concat();
        HeaderValue::try_from(policy).expect("a policy of visible ASCII")
    }
}

impl Inner {
    fn with_policy(mut self) -> Self {
        let hash = BASE64_STANDARD.encode(Sha256::digest(&self.sheet));
        let images = match self.logo.get(..1) {
            Some("/") => "img-src 'self' data:; ",
            _ => "img-src data:; ",
        };
        let policy = format!(
            "default-src 'none'; {images}style-src 'sha256-{hash}'; object-src 'none'; base-uri 'none'; \
             form-action 'self'{}; frame-ancestors 'none'",
            self.form_targets
        );
        self.policy = HeaderValue::try_from(policy).expect("a policy of visible ASCII");
        self
    }
}

impl Default for PageStyle {
    fn default() -> Self {
        PLAIN.clone()
    }
}

/// Whether black is easier to read on a colour than white, by its relative luminance (WCAG 2.2).
fn is_light(channels: [u32; 3]) -> bool {
    let [red, green, blue] = channels.map(|channel| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179
}

/// Writes `text` so that it is text wherever it stands: content or quoted attribute.
pub(crate) fn push_escaped(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_the_style_sheet_of_the_page_and_its_logo_alone() {
        let plain = PageStyle::default;
        for (style, images) in [
            (Ok(plain()), "img-src data:; "),
            (plain().with_accent("#0a7d4f"), "img-src data:; "),
            (plain().with_logo("/a.svg"), "img-src 'self' data:; "),
            (plain().with_logo("data:image/png;base64,AA"), "img-src data:; "),
        ] {
            let style = style.expect("a style");
            let mut html = String::new();
            style.push_head(&mut html, "title", "");
            let (_, sheet) = html.split_once("<style>").expect("a sheet");
            let (sheet, _) = sheet.split_once("</style>").expect("its end");
            let hash = BASE64_STANDARD.encode(Sha256::digest(sheet));
            let expected =
                format!("default-src 'none'; {images}style-src 'sha256-{hash}'; object-src 'none'; ");
            let policy = style.content_security_policy().to_str().expect("ASCII");
            assert!(policy.starts_with(&expected), "{policy}");
        }
    }

    #[test]
    fn what_could_change_more_than_the_look_is_refused() {
        let plain = PageStyle::default;
        for logo in [
            "",
            "logo.svg",
            "//evil.example/x",
            "https://evil.example/x",
            "/a\"b",
            "/a b",
            "/a\\b",
            "/a'b",
            "/<b>",
            "/\u{e9}",
            "data:text/html,x",
            "javascript:x",
            "/a\nb",
        ] {
            assert!(plain().with_logo(logo).is_err(), "{logo:?}");
        }
        assert!(
            plain()
                .with_logo(&format!("/{}", "a".repeat(PageStyle::MAX_LOGO_LEN)))
                .is_err()
        );
        for color in [
            "",
            "red",
            "#",
            "#12",
            "#1234",
            "#12345g",
            "#+12",
            "#1;}a",
            "# 12345",
            "url(x)",
            "#12345678",
        ] {
            assert!(plain().with_accent(color).is_err(), "{color:?}");
        }
        for (language, text) in [
            ("de", "Log im"),
            ("", "Log in"),
            ("de\"", "Log in"),
            ("d", "Log in"),
        ] {
            let style = plain().with_texts(language, [(text, "x")]);
            assert!(style.is_err(), "{language:?} {text:?}");
        }
    }

    #[test]
    fn the_text_on_a_button_is_the_one_that_is_easier_to_read() {
        for (color, text) in [
            ("#000", "#fff"),
            ("#ffffff", "#000"),
            ("#ff0", "#000"),
            ("#2350c4", "#fff"),
            ("#0F0", "#000"),
        ] {
            let style = PageStyle::default().with_accent(color).expect("a colour");
            let rule = format!("button {{ background: {color}; color: {text}; }}");
            assert!(style.0.sheet.ends_with(&format!("{rule}\n")), "{color}");
        }
    }
}
