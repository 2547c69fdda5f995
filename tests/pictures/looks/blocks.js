/* Pictures in blocks: `blocks` makes one of a screenshot, the mean colours on the left, the contrasts on the right; `wrong`
   lists the blocks in which one has something, or a tint, that the other has not there or in a block next to it. */
async function read(png) {
  const image = new Image(), canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  image.src = "data:image/png;base64," + png;
  await image.decode();
  canvas.width = image.width;
  canvas.height = image.height;
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, image.width, image.height);
}
const light = (r, g, b) => (r + 2 * g + b) / 4;

async function blocks(png, size) {
  const shot = await read(png), wide = Math.floor(shot.width / size), high = Math.floor(shot.height / size);
  const canvas = document.createElement("canvas"), out = new ImageData(2 * wide, high);
  for (let v = 0; v < high; v++) for (let u = 0; u < wide; u++) {
    const sum = [0, 0, 0];
    let low = 255, top = 0;
    for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
      const k = 4 * ((v * size + y) * shot.width + u * size + x), rgb = shot.data.slice(k, k + 3), own = light(...rgb);
      low = Math.min(low, own);
      top = Math.max(top, own);
      rgb.forEach((x, c) => sum[c] += x);
    }
    const at = 4 * (v * 2 * wide + u), mean = sum.map(x => x / size / size), contrast = top - low;
    out.data.set([...mean, 255], at);
    out.data.set([contrast, contrast, contrast, 255], at + 4 * wide);
  }
  canvas.width = 2 * wide;
  canvas.height = high;
  canvas.getContext("2d").putImageData(out, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}

async function wrong(one, other, contrast, tint) {
  const a = await read(one), b = await read(other), found = [];
  if (Math.abs(a.width - b.width) > 2 || Math.abs(a.height - b.height) > 2) return [[-1, -1], [0, a.height], [0, b.height], [0, 0]];
  const block = (x, u, v) => {
    const k = 4 * (v * x.width + u), [red, green, blue] = x.data.slice(k, k + 3);
    return { ink: x.data[k + 2 * x.width], tints: [red - green, green - blue] };
  };
  const near = (p, q) => (q.ink >= contrast / 2 || p.ink < contrast) && p.tints.every((t, k) => Math.abs(t - q.tints[k]) <= tint);
  const steps = [-1, 0, 1], wide = Math.min(a.width, b.width) / 2, high = Math.min(a.height, b.height);
  for (const [x, y] of [[a, b], [b, a]]) for (let v = 0; v < high; v++) for (let u = 0; u < wide; u++) {
    const here = block(x, u, v), inside = (u, v) => u >= 0 && u < wide && v >= 0 && v < high;
    if (!steps.some(dv => steps.some(du => inside(u + du, v + dv) && near(here, block(y, u + du, v + dv))))) found.push([u, v]);
  }
  return found;
}
