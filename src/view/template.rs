//! Templates: the engine that recipes and services' files share, and its errors in words.

use serde::Serialize;
use tera::{Context, Tera};

use crate::error::causes;

/// Parsed templates, by name. They can include each other.
#[derive(Clone)]
pub struct Templates(Tera);

impl Templates {
    /// Parses templates: name and content.
    pub fn parse<'a>(templates: impl IntoIterator<Item = (String, &'a [u8])>) -> Result<Self, String> {
        let mut tera = Tera::default();
        // Nothing here is HTML, whatever its name ends with.
        tera.autoescape_on(Vec::<&str>::new());
        let mut texts = Vec::new();
        for (name, content) in templates {
            let text = std::str::from_utf8(content).map_err(|_| format!("{name} is not UTF-8 text"))?;
            texts.push((name, text));
        }
        tera.add_raw_templates(texts).map_err(|error| explain(&error))?;
        Ok(Self(tera))
    }

    /// The same with one more template.
    pub fn with(&self, name: &str, text: &str) -> Result<Self, String> {
        let mut tera = self.0.clone();
        tera.add_raw_template(name, text).map_err(|error| explain(&error))?;
        Ok(Self(tera))
    }

    /// A template's text with these variables. One that is undefined is an error, with its place.
    pub fn render(&self, name: &str, variables: &impl Serialize) -> Result<String, String> {
        let context = Context::from_serialize(variables).map_err(|error| explain(&error))?;
        self.0.render(name, &context).map_err(|error| explain(&error))
    }
}

/// Tera's own words with their causes: it says what is wrong in the innermost one.
fn explain(error: &tera::Error) -> String {
    causes(error).join("\n")
}
