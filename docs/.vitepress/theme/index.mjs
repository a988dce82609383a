import DefaultTheme from "vitepress/theme-without-fonts";
import LiveBand from "./LiveBand.vue";
import "./style.css";

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component("LiveBand", LiveBand);
  },
};
