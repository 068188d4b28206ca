// A long list of which only the part near the viewport is in the document.

class WindowedList {
  // host: element that holds the items; make(row, index): one item; reserve(above, below):
  // keeps the room of the items that are left out, in pixels; measure(): {columns, height}.
  constructor({ host, make, reserve, measure }) {
    Object.assign(this, { host, make, reserve, measure });
    this.items = [];
    this.active = 0;
    this.clear();
  }

  clear() {
    this.host.replaceChildren();
    this.first = this.last = 0;
  }

  show(items) {
    this.items = items;
    this.active = Math.min(this.active, Math.max(items.length - 1, 0));
    this.clear();
    this.render();
  }

  get hidden() {
    return !this.host.getClientRects().length;
  }

  render() {
    if (this.hidden) return;
    const { columns, height } = this.measure();
    const lines = Math.ceil(this.items.length / columns);
    const room = window.innerHeight;
    const from = -this.top() - room; // one screen ahead and behind
    const firstLine = Math.min(Math.max(Math.floor(from / height), 0), Math.max(lines - 1, 0));
    // One screen of items is there even while the list is far away: readers may look for text in it.
    const least = firstLine + Math.ceil(room / height);
    const lastLine = Math.min(Math.max(Math.ceil((from + 3 * room) / height), least), lines);
    const first = firstLine * columns;
    const last = Math.min(Math.max(lastLine, firstLine) * columns, this.items.length);
    this.reserve(firstLine * height, Math.max(lines - Math.ceil(last / columns), 0) * height);
    this.fill(first, last);
  }

  // Distance from the top of the viewport to where the first item of all would be.
  top() {
    return this.edge().getBoundingClientRect().top;
  }

  edge() {
    return this.host;
  }

  fill(first, last) {
    if (first >= this.last || last <= this.first) this.clear(), (this.first = this.last = first);
    for (; this.first < first; this.first++) this.host.firstElementChild.remove();
    for (; this.last > last; this.last--) this.host.lastElementChild.remove();
    for (; this.first > first; this.first--) this.host.prepend(this.item(this.first - 1));
    for (; this.last < last; this.last++) this.host.append(this.item(this.last));
  }

  item(index) {
    const node = this.make(this.items[index], index, this.items.length);
    node.dataset.index = index;
    node.tabIndex = index === this.active ? 0 : -1;
    return node;
  }

  node(index) {
    return index >= this.first && index < this.last ? this.host.children[index - this.first] : null;
  }

  activate(index, focus) {
    const before = this.node(this.active);
    if (before) before.tabIndex = -1;
    this.active = index;
    if (!this.node(index)) this.bring(index);
    const node = this.node(index);
    if (!node) return;
    node.tabIndex = 0;
    if (!focus) return;
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest" });
  }

  bring(index) {
    const { columns, height } = this.measure();
    const place = this.top() + Math.floor(index / columns) * height;
    window.scrollBy({ top: place - window.innerHeight / 2, behavior: "instant" });
    this.render();
  }

  // Arrow keys, Home, End and Page keys; returns whether the key was for the list.
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return false;
    const { columns, height } = this.measure();
    const page = Math.max(Math.floor(window.innerHeight / height) - 1, 1) * columns;
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    if (!(event.key in steps)) return false;
    const to = Math.min(Math.max(this.active + steps[event.key], 0), this.items.length - 1);
    if (Math.abs(steps[event.key]) !== columns || Math.abs(to - this.active) === columns || columns === 1) {
      this.activate(to, true);
    }
    return true;
  }
}
