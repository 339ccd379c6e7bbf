//! The adapters against the real things: dockerd, the kernel, MariaDB. They need root.

mod cloud;
mod connect;
mod docker;
mod double;
mod hold;
mod identity;
mod mysql;
mod netlink;
mod node_files;
mod openstack;
mod remote;
mod restore;
mod scene;
mod transfer;
