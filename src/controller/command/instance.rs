//! The image of instances: no service runs in it, so that it is built when somebody needs it.

use std::sync::Arc;

use crate::controller::cloud::Cloud;
use crate::controller::command::change;
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::state::State;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::demo::IMAGE;
use crate::model::planner::Goal;

/// Has the image built unless the engine has it; its tag. Whoever calls holds the deploy lock.
pub async fn image(context: &Context, cloud: &Arc<Cloud>, engine: &Engine, state: &State) -> Result<String, Error> {
    let Some((name, image)) = cloud.images.get_key_value(IMAGE) else {
        let message = format!("the catalog has no image `{IMAGE}` to boot as an instance");
        let hint = format!("add {IMAGE} to `images` in services.yaml, with dockerfiles/{IMAGE}/Dockerfile.tera");
        return Err(Error::new(ErrorKind::Config, message).hint(hint));
    };
    if !engine.has_image(&image.tag).await? {
        let goal = Goal::Image { image: name.clone() };
        let world = wiring::world(cloud, engine)?;
        change::undertake(&goal, context, cloud, world, engine, state).await?;
    }
    Ok(image.tag.clone())
}
