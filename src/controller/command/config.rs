//! `octo config`: what the input is, without doing anything with it.

use crate::cli::{ConfigVerb, NoArgs, SchemaFile};
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::load::Loaded;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::name::Name;
use crate::model::problem::FileId;
use crate::model::{resolve, schema};

/// Checks, shows, or prints a schema.
pub fn run(verb: &ConfigVerb, context: &Context) -> Result<u8, Error> {
    let text = match verb {
        ConfigVerb::Check(NoArgs {}) => check(&wiring::load(context)?),
        ConfigVerb::Show(NoArgs {}) => show(&wiring::load(context)?)?,
        ConfigVerb::Schema(args) => schema(args.file),
    };
    context.output.data(&text);
    Ok(DONE)
}

/// `octo config check`: what was found to be right. Mistakes were already reported by loading.
pub fn check(loaded: &Loaded) -> String {
    let enabled = resolve::enabled(&loaded.settings, &loaded.catalog);
    let files: Vec<_> =
        (0..).map_while(|file| loaded.documents.get(FileId(file))).map(|file| file.name.as_str()).collect();
    let names: Vec<_> = enabled.iter().map(|name| name.as_str()).collect();
    let others = resolve::left_out(&loaded.settings, &loaded.catalog);
    let others: Vec<_> = others.into_iter().map(Name::as_str).collect();
    let mut text = format!(
        "no problem in {}\ncloud {}, release {}, {} services: {}\n",
        files.join(", "),
        loaded.settings.cloud,
        loaded.settings.release,
        names.len(),
        names.join(", ")
    );
    if !others.is_empty() {
        text.push_str(&format!("not in this cloud: {0}; to have them: `services: [{0}]`\n", others.join(", ")));
    }
    text
}

/// `octo config show`: the settings with all defaults, as YAML.
pub fn show(loaded: &Loaded) -> Result<String, Error> {
    serde_saphyr::to_string(&loaded.settings)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the settings as YAML").because(&error))
}

/// `octo config schema`: the JSON Schema of a file, for editors.
pub fn schema(file: SchemaFile) -> String {
    let schema = match file {
        SchemaFile::Configuration => schema::configuration(),
        SchemaFile::Services => schema::services(),
    };
    format!("{schema:#}\n")
}
