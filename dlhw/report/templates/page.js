(() => {
  const dialog = document.getElementById("large");
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.enlarge");
    if (link && dialog.showModal) {
      event.preventDefault();
      dialog.querySelector("div").replaceChildren(link.querySelector("img").cloneNode());
      dialog.showModal();
    } else if (event.target === dialog) {
      dialog.close();
    }
    if (event.target.closest(".bar a")) document.querySelector(".bar").open = false;
  });
})();
