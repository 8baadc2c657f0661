// From an upright photograph to a model's input: equal to edgekit/data/images.py, which is timm's evaluation transform
// on Pillow 13. No DOM is needed. Pixels are {width, height, rgb: Uint8Array or Uint8ClampedArray [height, width, 3]}.

export const MAX_PIXELS = 89_478_485; // of a decoded picture, as in Python
const PRECISION_BITS = 32 - 8 - 2;

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

function hamming(x) {
  if (x === 0) return 1;
  // Pillow's two numbers have single precision.
  return x >= 1 ? 0 : sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
}

function bicubic(x) {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// How far each filter reaches, and its weight at a distance; `nearest` takes pixels as they are and is none of them.
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(1 - Math.abs(x), 0)],
  hamming: [1, (x) => hamming(Math.abs(x))],
  bicubic: [2, (x) => bicubic(Math.abs(x))],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** Scale and crop pixels as the manifest's `preprocessing` says: {size: [H, W], interpolation, crop_pct, crop_mode, mean}. */
export function preprocess(pixels, spec) {
  const [outHeight, outWidth] = spec.size;
  const [height, width] = scaledSize(pixels, spec);
  const top = Math.max(roundEven((height - outHeight) / 2), 0);
  const left = Math.max(roundEven((width - outWidth) / 2), 0);
  const seenHeight = Math.min(height, outHeight);
  const seenWidth = Math.min(width, outWidth);
  let seen;
  if (height * width > MAX_PIXELS) {
    // A strip of 1 x 20,000 pixels: its whole scaled form would not fit.
    const down = pixels.height / height;
    const right = pixels.width / width;
    const box = [left * right, top * down, (left + seenWidth) * right, (top + seenHeight) * down];
    seen = resize(pixels, seenWidth, seenHeight, spec.interpolation, box);
  } else {
    seen = crop(resize(pixels, width, height, spec.interpolation), left, top, seenWidth, seenHeight);
  }
  return seenHeight === outHeight && seenWidth === outWidth ? seen : onCanvas(seen, spec);
}

/** Scale pixels, or a box [left, top, right, bottom] of them, to a size, as `PIL.Image.resize` does. */
export function resize(pixels, width, height, interpolation, box = [0, 0, pixels.width, pixels.height]) {
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow keeps single precision of it
  if (interpolation === "nearest") return nearest(pixels, width, height, [left, top, right, bottom]);
  if (!Object.hasOwn(FILTERS, interpolation)) throw new RangeError(`interpolation ${interpolation} is unknown`);
  const columns = weights(pixels.width, left, right, width, FILTERS[interpolation]);
  const rows = weights(pixels.height, top, bottom, height, FILTERS[interpolation]);
  const across = (from, first, end) => (columns.identity ? from : horizontal(from, columns, first, end));
  const down = (from) => (rows.identity ? from : vertical(from, rows));
  // The first pass rounds to 8 bits, so that the order of the two is seen in the result.
  const removed = pixels.height - height;
  if (removed > 0 && removed > 2 * (pixels.width - width)) return across(down(pixels), 0, height);
  const last = height - 1;
  return down(across(pixels, rows.first[0], rows.first[last] + rows.each[last].length));
}

function scaledSize({ height, width }, spec) {
  const [targetHeight, targetWidth] = spec.size.map((side) => Math.floor(side / spec.crop_pct));
  if (spec.crop_mode === "squash") return [targetHeight, targetWidth];
  if (spec.crop_mode !== "border" && targetHeight === targetWidth) {
    const long = Math.trunc((targetHeight * Math.max(height, width)) / Math.min(height, width));
    return height <= width ? [targetHeight, long] : [long, targetHeight];
  }
  const pick = spec.crop_mode === "border" ? Math.max : Math.min;
  const ratio = pick(height / targetHeight, width / targetWidth);
  return [Math.max(roundEven(height / ratio), 1), Math.max(roundEven(width / ratio), 1)];
}

/** As Python rounds: halves go to the even neighbour. */
function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** For each place of the result: the first pixel that it takes, and fixed-point weights of that and the next ones. */
function weights(size, start, end, wanted, [reach, weight]) {
  const scale = (end - start) / wanted;
  const reduction = Math.max(scale, 1);
  const support = reach * reduction;
  const first = new Int32Array(wanted);
  const each = Array.from({ length: wanted }, (_, place) => {
    const center = start + (place + 0.5) * scale;
    const from = Math.max(Math.trunc(center - support + 0.5), 0);
    const until = Math.min(Math.trunc(center + support + 0.5), size);
    const exact = Float64Array.from({ length: until - from }, (_, at) => weight((at + from - center + 0.5) * (1 / reduction)));
    const sum = exact.reduce((total, one) => total + one, 0);
    first[place] = from;
    return Int32Array.from(exact, (one) => fixed(sum !== 0 ? one / sum : one));
  });
  return { first, each, identity: wanted === size && start === 0 && end === size };
}

const fixed = (weight) => Math.trunc(weight * (1 << PRECISION_BITS) + (weight < 0 ? -0.5 : 0.5));

/** Only rows `firstRow` to `endRow` are made: the others stay zero. */
function horizontal({ width: before, height, rgb }, { first, each }, firstRow, endRow) {
  const width = first.length;
  const made = new Uint8ClampedArray(3 * width * height);
  for (let x = 0; x < width; x++) {
    const own = each[x];
    for (let y = firstRow; y < endRow; y++) {
      let from = 3 * (y * before + first[x]);
      let red = 1 << (PRECISION_BITS - 1);
      let green = red;
      let blue = red;
      for (let tap = 0; tap < own.length; tap++, from += 3) {
        red = (red + rgb[from] * own[tap]) | 0;
        green = (green + rgb[from + 1] * own[tap]) | 0;
        blue = (blue + rgb[from + 2] * own[tap]) | 0;
      }
      const at = 3 * (y * width + x);
      made[at] = red >> PRECISION_BITS;
      made[at + 1] = green >> PRECISION_BITS;
      made[at + 2] = blue >> PRECISION_BITS;
    }
  }
  return { width, height, rgb: made };
}

function vertical({ width, rgb }, { first, each }) {
  const height = first.length;
  const stride = 3 * width;
  const made = new Uint8ClampedArray(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let row = 0; row < each[y].length; row++) {
      const weight = each[y][row];
      const from = (first[y] + row) * stride;
      for (let at = 0; at < stride; at++) sums[at] += rgb[from + at] * weight;
    }
    for (let at = 0; at < stride; at++) made[y * stride + at] = sums[at] >> PRECISION_BITS;
  }
  return { width, height, rgb: made };
}

function nearest(pixels, width, height, [left, top, right, bottom]) {
  const columns = nearestPlaces(pixels.width, left, right, width);
  const rows = nearestPlaces(pixels.height, top, bottom, height);
  const made = new Uint8ClampedArray(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (rows[y] < 0 || columns[x] < 0) continue;
      const from = 3 * (rows[y] * pixels.width + columns[x]);
      const at = 3 * (y * width + x);
      for (let channel = 0; channel < 3; channel++) made[at + channel] = pixels.rgb[from + channel];
    }
  }
  return { width, height, rgb: made };
}

/** Summed up step by step as Pillow does, whose rounding adds up; -1 is outside. */
function nearestPlaces(size, start, end, wanted) {
  const step = (end - start) / wanted;
  let place = start + step * 0.5;
  return Int32Array.from({ length: wanted }, () => {
    const found = place < 0 ? -1 : Math.trunc(place);
    place += step;
    return found < size ? found : -1;
  });
}

function crop(pixels, left, top, width, height) {
  if (width === pixels.width && height === pixels.height) return pixels;
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * pixels.width + left);
    rgb.set(pixels.rgb.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, rgb };
}

/** A photograph that is smaller than the input, in its middle: around it is the mean colour, or black. */
function onCanvas(pixels, spec) {
  const [height, width] = spec.size;
  const fill = spec.crop_mode === "border" ? spec.mean.map((value) => roundEven(255 * value)) : [0, 0, 0];
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let at = 0; at < rgb.length; at++) rgb[at] = fill[at % 3];
  const left = Math.floor((width - pixels.width) / 2);
  const top = Math.floor((height - pixels.height) / 2);
  for (let y = 0; y < pixels.height; y++) {
    rgb.set(pixels.rgb.subarray(3 * y * pixels.width, 3 * (y + 1) * pixels.width), 3 * ((top + y) * width + left));
  }
  return { width, height, rgb };
}
