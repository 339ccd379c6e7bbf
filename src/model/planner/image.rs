//! Planning of images.

use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::{Images, Planner};

impl Planner<'_> {
    /// The node after which a service's image exists; `None` if it does already.
    pub(super) fn image_of(&mut self, service: &Name) -> Option<NodeId> {
        let image = self.desired.services.get(service)?.image.clone();
        self.image(&image)
    }

    /// The node after which an image exists. Images that only help building are built when
    /// something that uses them is.
    pub(super) fn image(&mut self, name: &Name) -> Option<NodeId> {
        let desired = self.desired.images.get(name)?;
        if self.observed.images.contains(&desired.tag) {
            return None;
        }
        if self.images == Images::MustExist {
            if self.missing_images.insert(name.clone()) {
                self.obstacle(format!("image {name} is not built"), "octo build");
            }
            return None;
        }
        let mut after: Vec<NodeId> = desired.after.iter().filter_map(|needed| self.image(needed)).collect();
        if let Some(base) = desired.base.as_ref().filter(|base| !self.observed.images.contains(*base)) {
            after.push(self.add(Operation::PrepareBase { tag: base.clone() }, "absent", []));
        }
        let operation = Operation::BuildImage { image: name.clone(), tag: desired.tag.clone() };
        Some(self.add(operation, "no image of this recipe", after))
    }
}
