// Shows what `render` in view.py describes; hovering, tapping or focusing an instance lifts it out.
let scene = null;
let ids = new Uint16Array(0);
let lifted = 0;

const find = (name) => element.querySelector('.ib-' + name);

function make(tag, name, text) {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function swatch(color) {
  const node = make('span', 'ib-swatch');
  node.style.background = `rgb(${color})`;
  return node;
}

// value, length, value, length, ... to the instance of each pixel
function unpack(runs, size) {
  const flat = new Uint16Array(size);
  for (let i = 0, at = 0; i < runs.length; i += 2) {
    flat.fill(runs[i], at, at + runs[i + 1]);
    at += runs[i + 1];
  }
  return flat;
}

function instanceRow(instance, index) {
  const row = document.createElement('tr');
  row.dataset.id = index + 1;
  row.tabIndex = 0;
  const name = make('td', '');
  const label = make('span', 'ib-name');
  label.append(swatch(instance.color), instance.name);
  name.append(label);
  const score = make('td', '');
  const bar = make('span', 'ib-bar', instance.score.toFixed(2));
  const track = document.createElement('i');
  const fill = document.createElement('span');
  fill.style.width = 100 * instance.score + '%';
  track.append(fill);
  bar.append(track);
  score.append(bar);
  row.append(name, score, make('td', 'ib-wide', boxText(instance.box)),
    make('td', 'ib-right', instance.area.toLocaleString('en')));
  return row;
}

function boxText([x, y, width, height]) {
  return `${x}, ${y}, ${width} × ${height}`;
}

function chip(category) {
  const node = make('span', 'ib-chip');
  node.append(swatch(category.color), `${category.name} ${(100 * category.share).toFixed(1)} %`);
  return node;
}

function show(value) {
  scene = value && value.image ? value : null;
  lifted = 0;
  find('empty').hidden = Boolean(value);
  find('error').hidden = !(value && value.error);
  find('error').textContent = (value && value.error) || '';
  find('result').hidden = !scene;
  find('tip').hidden = true;
  find('canvas').classList.remove('ib-on');
  if (!scene) return;
  ids = unpack(scene.runs, scene.width * scene.height);
  const image = find('image');
  image.width = scene.width;
  image.height = scene.height;
  image.src = scene.image;
  find('figure').style.maxWidth = `calc(70vh * ${scene.width / scene.height})`;
  find('note').hidden = !scene.note;
  find('note').textContent = scene.note;
  find('chips').hidden = !scene.categories.length;
  find('chips').replaceChildren(...scene.categories.map(chip));
  const count = scene.instances.length;
  find('count').textContent = count === 1 ? '1 object' : `${count || 'No'} objects`;
  find('time').textContent = `grouped and drawn in ${scene.milliseconds} ms`;
  find('table').hidden = !count;
  element.querySelector('tbody').replaceChildren(...scene.instances.map(instanceRow));
}

// Darkens everything but one instance and gives it a bright rim; 0 shows the image as it is.
function lift(id) {
  if (id === lifted || !scene) return;
  lifted = id;
  const canvas = find('canvas');
  canvas.classList.toggle('ib-on', id > 0);
  element.querySelectorAll('tbody tr').forEach(
    (row) => row.classList.toggle('ib-on', Number(row.dataset.id) === id));
  if (id > 0) darken(canvas, id);
}

function darken(canvas, id) {
  const { width, height } = scene;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const reach = Math.max(1, Math.round(Math.max(width, height) / 400));
  for (let at = 0; at < ids.length; at++) {
    if (ids[at] !== id) pixels[at] = 0x8c000000;
  }
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (ids[at] !== id) continue;
      const inside = x >= reach && y >= reach && x < width - reach && y < height - reach
        && ids[at - reach] === id && ids[at + reach] === id
        && ids[at - reach * width] === id && ids[at + reach * width] === id;
      if (!inside) pixels[at] = 0xffffffff;
    }
  }
  context.putImageData(image, 0, 0);
}

function placeTip(id, x, y) {
  const tip = find('tip');
  tip.hidden = id === 0;
  if (id === 0) return;
  const instance = scene.instances[id - 1];
  tip.replaceChildren(make('b', '', `${instance.name} ${instance.score.toFixed(2)}`),
    'box ' + boxText(instance.box));
  const frame = find('figure').getBoundingClientRect();
  const left = Math.min(x - frame.left + 14, frame.width - tip.offsetWidth - 4);
  const below = y - frame.top + 18;
  const fits = below + tip.offsetHeight + 4 < frame.height;
  tip.style.left = Math.max(4, left) + 'px';
  tip.style.top = (fits ? below : Math.max(4, y - frame.top - tip.offsetHeight - 12)) + 'px';
}

function instanceAt(event) {
  const frame = find('image').getBoundingClientRect();
  const x = Math.floor((event.clientX - frame.left) / frame.width * scene.width);
  const y = Math.floor((event.clientY - frame.top) / frame.height * scene.height);
  const outside = x < 0 || y < 0 || x >= scene.width || y >= scene.height;
  return outside ? 0 : ids[y * scene.width + x];
}

function onPointer(event) {
  if (!scene) return;
  const row = event.target.closest('tbody tr');
  if (row) return lift(Number(row.dataset.id));
  const id = event.target.closest('.ib-figure') ? instanceAt(event) : 0;
  lift(id);
  placeTip(id, event.clientX, event.clientY);
}

element.addEventListener('pointermove', onPointer);
element.addEventListener('pointerdown', onPointer);
element.addEventListener('pointerleave', () => {
  if (!scene) return;
  lift(0);
  placeTip(0);
});
element.addEventListener('focusin', (event) => {
  const row = event.target.closest('tbody tr');
  if (row) lift(Number(row.dataset.id));
});
element.addEventListener('focusout', () => lift(0));

watch('value', () => show(props.value));
show(props.value);
