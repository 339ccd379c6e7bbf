//! Assembling: checked input and the state directory become a cloud that is ready to work on. It
//! changes nothing: new secrets and a new choice of base are in memory alone.

use bollard::Docker;

use super::cloud::Cloud;
use super::image::{BaseFinder, Host};
use super::load::Loaded;
use super::peers::Peers;
use super::state::State;
use crate::error::Error;
use crate::model::problem::FileId;
use crate::model::resolve::{self, ResolvedImages, enabled, images_of, resolve};
use crate::view::dockerfile::render_images;
use crate::view::files::{self, Sizing, Sources};

/// Resolves and renders a cloud.
pub async fn assemble(
    loaded: Loaded,
    docker: &Docker,
    peers: Peers,
    state: &State,
    sizing: Sizing,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<Cloud, Error> {
    let Loaded { settings, catalog, origins, bundle, documents } = loaded;
    let services = enabled(&settings, &catalog);
    let wanted = images_of(&services, &catalog);
    let host = Host::real();
    let finder = BaseFinder { docker, settings: &settings, catalog: &catalog, wanted: &wanted, host: &host };
    let base = finder.choose(state.base()?.as_ref(), progress).await?;

    let images = render_images(&settings.release, &catalog, &wanted, base.distro, &base.base_tag, &bundle)
        .map_err(|problems| documents.error(&origins.place(problems)))?;
    let tags = images.iter().map(|(name, image)| (name.clone(), image.tag.clone())).collect();
    let resolved = ResolvedImages { distro: base.distro, base: base.base_tag.clone(), tags };
    let mut desired = resolve(&settings, &catalog, &resolved, &peers.site);

    let rings = resolve::rings(&settings, &catalog);
    let secrets = state.load_or_generate(&desired.secrets, rings.values())?;
    let sources = Sources { settings: &settings, catalog: &catalog, bundle: &bundle, secrets: &secrets, sizing };
    let files = files::render(&desired, &sources).map_err(|problems| documents.error(&origins.place(problems)))?;
    for (name, container) in &mut desired.containers {
        container.files_digest = files.digest(name);
    }
    let configuration = documents.get(FileId::CONFIGURATION).map(|document| document.text.clone()).unwrap_or_default();
    desired.state_copy = state.wanted_copy(&secrets, &base, &configuration)?;
    let state_directory = state.directory().to_owned();
    Ok(Cloud {
        settings,
        catalog,
        desired,
        images,
        files,
        secrets,
        configuration,
        state_directory,
        base,
        peers: peers.engines,
        silent: peers.site.silent,
    })
}
