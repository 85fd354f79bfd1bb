//! What the co-operative sells: ten categories with their seasons, six products each.

/// A product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub name: &'static str,
    pub category: usize,
    /// Price in hundredths.
    pub price: i64,
}

/// The categories, in the order of all weights below.
pub(super) const CATEGORIES: [&str; 10] =
    ["vegetables", "fruit", "bread", "cheese", "meat", "honey", "wine", "flowers", "wool", "ceramics"];

/// How much more than usual a category sells in each month, January first.
pub(super) const SEASONS: [[f64; 12]; 10] = [
    [0.7, 0.7, 0.8, 1.0, 1.2, 1.3, 1.4, 1.4, 1.2, 1.0, 0.8, 0.7],
    [0.5, 0.5, 0.6, 0.7, 1.0, 1.5, 1.7, 1.7, 1.5, 1.1, 0.6, 0.6],
    [1.0; 12],
    [1.0, 1.0, 1.0, 1.0, 0.9, 0.9, 0.8, 0.8, 1.0, 1.1, 1.2, 1.5],
    [0.9, 0.9, 1.0, 1.2, 1.0, 1.1, 1.1, 1.0, 1.0, 1.0, 1.1, 1.5],
    [1.1, 1.0, 0.9, 0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 1.3, 1.2, 1.3],
    [0.7, 0.8, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.4, 2.0],
    [0.4, 0.9, 1.3, 1.6, 2.0, 1.4, 1.1, 1.0, 0.8, 0.6, 0.5, 0.6],
    [1.6, 1.4, 1.0, 0.7, 0.5, 0.4, 0.4, 0.5, 0.9, 1.3, 1.7, 1.9],
    [0.7, 0.7, 0.9, 1.1, 1.1, 1.0, 0.9, 0.9, 1.0, 1.0, 1.4, 1.9],
];

const fn product(name: &'static str, category: usize, price: i64) -> Product {
    Product { name, category, price }
}

/// Products of a category; they stand together in [`PRODUCTS`], the best-selling first.
pub(super) const PER_CATEGORY: usize = 6;

/// The catalogue.
pub(super) const PRODUCTS: [Product; 60] = [
    product("vegetable box", 0, 1_450),
    product("new potatoes", 0, 320),
    product("carrots", 0, 180),
    product("kale", 0, 210),
    product("asparagus", 0, 450),
    product("pumpkin", 0, 390),
    product("apples", 1, 290),
    product("strawberries", 1, 350),
    product("pears", 1, 310),
    product("plums", 1, 330),
    product("rhubarb", 1, 260),
    product("apple juice", 1, 420),
    product("sourdough loaf", 2, 380),
    product("rye loaf", 2, 400),
    product("morning rolls", 2, 250),
    product("fruit cake", 2, 890),
    product("oatcakes", 2, 270),
    product("flour", 2, 310),
    product("farmhouse cheddar", 3, 640),
    product("goat's cheese", 3, 520),
    product("blue cheese", 3, 710),
    product("butter", 3, 340),
    product("yoghurt", 3, 240),
    product("cheese board", 3, 2_400),
    product("sausages", 4, 590),
    product("leg of lamb", 4, 3_200),
    product("bacon", 4, 480),
    product("stewing beef", 4, 980),
    product("chicken", 4, 1_350),
    product("venison", 4, 1_890),
    product("heather honey", 5, 790),
    product("blossom honey", 5, 620),
    product("honeycomb", 5, 940),
    product("mead", 5, 1_380),
    product("beeswax candles", 5, 860),
    product("honey mustard", 5, 410),
    product("cider", 6, 460),
    product("elderflower wine", 6, 1_120),
    product("sparkling wine", 6, 2_150),
    product("sloe gin", 6, 2_690),
    product("perry", 6, 520),
    product("wine case", 6, 8_400),
    product("cut flowers", 7, 1_250),
    product("bedding plants", 7, 780),
    product("herb pots", 7, 450),
    product("spring bulbs", 7, 690),
    product("rose bush", 7, 1_650),
    product("wreath", 7, 2_200),
    product("knitting yarn", 8, 720),
    product("socks", 8, 1_150),
    product("blanket", 8, 7_900),
    product("jumper", 8, 8_900),
    product("hat", 8, 2_100),
    product("sheepskin", 8, 9_500),
    product("mug", 9, 1_600),
    product("bowl", 9, 2_400),
    product("jug", 9, 3_100),
    product("plate set", 9, 7_200),
    product("teapot", 9, 5_400),
    product("vase", 9, 4_300),
];
