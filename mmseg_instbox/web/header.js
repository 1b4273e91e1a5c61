element.querySelector('.instbox-dark').addEventListener(
  'click', () => document.body.classList.toggle('dark'));
