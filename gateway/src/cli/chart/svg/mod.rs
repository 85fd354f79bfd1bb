//! Pictures as one SVG file each: no script, no link, no font to load; readable on light and dark, on paper and by a
//! screen reader. All text is escaped. Each says on its face what it is: noised, what it cost, and NOT PRIVATE where it is.

mod average;
mod contrast;
mod distribution;
mod funnel;
mod grids;
mod overlap;
mod page;
mod portrait;
mod profile;
mod retention;
mod rows;
mod times;
mod trend;

pub use average::average_svg;
pub use contrast::contrast_svg;
pub use distribution::distribution_svg;
pub use funnel::funnel_svg;
pub use grids::grids_svg;
pub use overlap::overlap_svg;
pub use portrait::{bars_svg, portrait_svg};
pub use profile::profile_svg;
pub use retention::retention_svg;
pub use trend::trend_svg;
