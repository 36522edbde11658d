import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Asks once whole and once streamed, and prints both answers. */
public class Main {
  public static void main(String[] args) throws Exception {
    String url = System.getenv("OPENAI_BASE_URL"), key = System.getenv("OPENAI_API_KEY");
    System.out.println("whole: " + OpenAiChatModel.builder().baseUrl(url).apiKey(key).modelName("gpt-4o-mini").build().chat("Hello"));
    CompletableFuture<String> whole = new CompletableFuture<>();
    OpenAiStreamingChatModel.builder().baseUrl(url).apiKey(key).modelName("gpt-4o-mini").build().chat("Hello", new StreamingChatResponseHandler() {
      @Override public void onPartialResponse(String part) {}
      @Override public void onCompleteResponse(ChatResponse response) { whole.complete(response.aiMessage().text()); }
      @Override public void onError(Throwable error) { whole.completeExceptionally(error); }
    });
    System.out.println("streamed: " + whole.get(30, TimeUnit.SECONDS));
    System.exit(0);
  }
}
