//! `volume`: what tests do with the volumes of their world.

use rustix::process::geteuid;

use crate::error::{Result, ShimError};
use crate::world::{VOLUME_BYTES, World};

use super::args::VolumeVerb;

/// Does it.
pub fn run(verb: &VolumeVerb) -> Result<()> {
    let world = World::of_this_test()?;
    match verb {
        VolumeVerb::Mkfs { volume, bytes, extra } => {
            world.mkfs((*volume).into(), bytes.unwrap_or(VOLUME_BYTES), extra)
        }
        VolumeVerb::Mount { volume, options } => world.mount((*volume).into(), options),
        VolumeVerb::Unmount { volume } => world.unmount((*volume).into()),
        VolumeVerb::Kill { volume } => world.kill((*volume).into()),
        VolumeVerb::Check { volume } => world.check((*volume).into()),
        VolumeVerb::Server { volume } => {
            let server = world.server((*volume).into()).ok_or_else(|| {
                ShimError::Wrong(format!("user {} sees no server", geteuid().as_raw()))
            })?;
            println!("{server}");
            Ok(())
        }
    }
}
