//! Everything with an effect: commands, observation, execution, adapters.

pub mod adapters;
pub mod assemble;
pub mod attachment;
pub mod cloud;
pub mod cloud_lock;
pub mod command;
mod contents;
pub mod context;
#[cfg(test)]
mod convergence;
pub mod demo;
pub mod docker;
pub mod event;
pub mod execute;
pub mod facts;
#[cfg(test)]
pub mod fake;
pub mod health;
pub mod image;
pub mod interrupt;
mod job;
pub mod keystone;
pub mod listener;
pub mod load;
mod load_balancer;
pub mod mask;
mod membership;
pub mod mysql;
pub mod netlink;
pub mod node_files;
mod observe;
pub mod openstack;
pub mod output;
pub mod peers;
mod perform;
pub mod port;
pub mod progress;
pub mod rabbitmq;
pub mod raw_mode;
pub mod rest;
mod restore;
pub mod state;
pub mod steps;
pub mod trace;
pub mod verify;
pub mod wiring;
