// Test images, and what the nets on a line predict for them where the slider stands.

class Examples {
  constructor(spec) {
    this.spec = spec;
    this.node = element("div", { class: "chart-examples" });
    this.answers = spec.nets.map((net, n) => {
      const items = spec.labels.map((label, e) => {
        const answer = element("span");
        return { answer, item: element("li", {}, this.image(e, label), answer) };
      });
      this.node.append(element("p", { class: "chart-heading" }, `Test images on the line ${net}, first seed`));
      this.node.append(element("ul", {}, ...items.map(({ item }) => item)));
      return items.map(({ answer }) => answer);
    });
  }

  image(e, label) {
    const { height, width, channels, pixels } = this.spec;
    this.bytes ??= Uint8Array.from(atob(pixels), c => c.charCodeAt(0));
    const canvas = element("canvas", { width, height, role: "img", "aria-label": `image of class ${label}` });
    const picture = new ImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      for (let c = 0; c < 3; c++) picture.data[4 * p + c] = this.bytes[(e * width * height + p) * channels + (channels === 3 ? c : 0)];
      picture.data[4 * p + 3] = 255;
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  }

  show(k) {
    const { predicted, probability, labels } = this.spec;
    this.answers.forEach((answers, n) => answers.forEach((answer, e) => {
      const is = predicted[n][k][e], right = is === labels[e];
      answer.className = is < 0 ? "" : right ? "chart-right" : "chart-wrong";
      answer.replaceChildren(...is < 0 ? ["–"] : [`${right ? "✓" : "✗"} ${is}`, element("br"), asText(probability[n][k][e])]);
      answer.title = is < 0 ? "an end diverged" : `${right ? "right" : "wrong"}: predicts ${is} with probability ${probability[n][k][e]}`;
    }));
  }
}
