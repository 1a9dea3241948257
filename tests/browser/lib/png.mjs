// Makes a screenshot small: a page has few colours, so a palette of them and one byte for each pixel will do.

import { deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const MOST_COLOURS = 256;

/** The same picture with at most 256 colours. It must have eight bits a channel, as Chromium writes it. */
export function withPalette(png) {
  const { width, height, channels, data } = parse(png);
  const pixels = unfiltered(inflateSync(data), width * channels, height, channels);
  const colours = [];
  for (let at = 0; at < pixels.length; at += channels) {
    colours.push((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]);
  }
  const { palette, places } = chosen(colours);
  const rows = Buffer.alloc((width + 1) * height);
  colours.forEach((colour, index) => {
    rows[index + Math.floor(index / width) + 1] = places.get(colour);
  });
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const bytes = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const parts = [chunk('IHDR', head), chunk('PLTE', bytes), chunk('IDAT', deflateSync(rows, { level: 9 }))];
  return Buffer.concat([SIGNATURE, ...parts, chunk('IEND', Buffer.alloc(0))]);
}

function parse(png) {
  const parts = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    parts.push([png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  const [, head] = parts[0];
  const channels = { 2: 3, 6: 4 }[head[9]];
  if (head[8] !== 8 || channels === undefined || head[12] !== 0) {
    throw new Error('not a picture as Chromium writes it');
  }
  const data = Buffer.concat(parts.filter(([name]) => name === 'IDAT').map(([, part]) => part));
  return { width: head.readUInt32BE(0), height: head.readUInt32BE(4), channels, data };
}

/** Takes back what each row's filter has subtracted: the byte before, the one above, or a guess from both. */
function unfiltered(rows, stride, height, channels) {
  const pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = rows[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const at = y * stride + x;
      const before = x >= channels ? pixels[at - channels] : 0;
      const above = y > 0 ? pixels[at - stride] : 0;
      const corner = x >= channels && y > 0 ? pixels[at - stride - channels] : 0;
      const guess = [0, before, above, (before + above) >> 1, nearestOf(before, above, corner)][filter];
      pixels[at] = rows[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return pixels;
}

function nearestOf(before, above, corner) {
  const [b, a, c] = [Math.abs(above - corner), Math.abs(before - corner), Math.abs(before + above - 2 * corner)];
  return b <= a && b <= c ? before : a <= c ? above : corner;
}

/** The colours that are seen most, and for every colour the place of the one that is nearest to it. */
function chosen(colours) {
  const seen = new Map();
  for (const colour of colours) {
    seen.set(colour, (seen.get(colour) ?? 0) + 1);
  }
  const palette = [...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a)).slice(0, MOST_COLOURS);
  const nearest = (colour) =>
    palette.reduce((best, other, place) => (distance(colour, other) < distance(colour, palette[best]) ? place : best), 0);
  const places = new Map([...seen.keys()].map((colour) => [colour, nearest(colour)]));
  return { palette, places };
}

function distance(one, other) {
  const channel = (shift) => ((one >> shift) & 255) - ((other >> shift) & 255);
  return channel(16) ** 2 + channel(8) ** 2 + channel(0) ** 2;
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(checksum(body), body.length + 4);
  return framed;
}

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
  }
  return ~sum >>> 0;
}
