//! `octo openrc`: what an OpenStack client needs.

use crate::cli::OpenrcArgs;
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::state::write_atomically;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::identity::ADMINISTRATOR;
use crate::model::secret;
use crate::view::openrc::{self, Login};

/// Prints shell lines, or writes a clouds.yaml.
pub async fn run(args: OpenrcArgs, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let region = loaded.settings.region.clone();
    let state = wiring::state(context, &loaded.settings);
    let engine = wiring::engine(context).await?;
    let cloud = wiring::cloud(context, loaded, &engine).await?;
    let desired = &cloud.desired;
    let (Some((identity, _)), Some(auth_url)) = (&desired.access.identity, &desired.access.public_identity) else {
        let error = Error::new(ErrorKind::Config, "this cloud has no identity service to log in at");
        return Err(error.hint("add keystone under `services` in configuration.yaml"));
    };
    let password = secret::full_name(identity.as_str(), secret::ADMINISTRATOR);
    // A new secret in memory would be a password that opens nothing.
    if !state.secret_names()?.contains(&password) {
        let message = format!("cloud {} has no administrator yet", desired.cloud);
        return Err(Error::new(ErrorKind::Environment, message).hint("octo up"));
    }
    let login = Login {
        cloud: desired.cloud.as_str(),
        auth_url,
        region: &region,
        user: ADMINISTRATOR,
        project: ADMINISTRATOR,
        password: cloud.secrets.expose(&password),
    };
    match args.clouds_yaml {
        None => context.output.data(&openrc::openrc(&login)),
        Some(path) => {
            write_atomically(&path, openrc::clouds_yaml(&login).as_bytes(), 0o600, None)?;
            let path = path.display();
            context.output.say(&format!(
                "wrote {path}; next: OS_CLIENT_CONFIG_FILE={path} openstack --os-cloud {} token issue\n",
                desired.cloud
            ));
        }
    }
    Ok(DONE)
}
